"""Exact federated statistics: sites send sums, the lead gets what the pooled patients would have given.

Each statistic says what it asks (`Query`), what a site answers (sums in a stated layout) and how the lead
goes on (`update`). `runner.run` drives one over sites in this process and any secure sum; an engine drives it
over its own messages with `runner.conduct` at the lead and `runner.answer_words` at a site.
"""
