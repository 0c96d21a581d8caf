"""Transfer: what may cross which border, by rules that a lawyer can read, edit and date.

`rules/*.toml` hold laws (`law`), their conditions stand in a small closed language (`conditions`) over a
closed list of facts (`facts`). `decide` holds the flows of a study (`flows`) against them, as of a day, and
says which rules, facts and documents a decision rests on and what is missing. It is a check of what was
written down, and no legal advice.
"""
