"""Searching over sites' catalogues: a desk at each site answers, a lead asks and adds up counts."""
