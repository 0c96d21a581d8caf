"""Disclosure: how easily a person is found again in a table, and how to recode it so that nobody is.

A `policy` names what an outsider may know (quasi-identifiers), what must not come out (sensitive columns) and
the bounds. `classes`, `diversity` and `closeness` measure a table against it, `population` and `log_linear`
say what that means for the population behind it, `lattice` searches the least recoding that keeps the bounds,
and `linkage` tries the attack itself.
"""
