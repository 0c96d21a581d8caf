"""Consent: what patients allow, read from a hospital's register and matched against what a study does.

A register (`register`, or FHIR by `fhir`) holds versions of each patient's consent in terms of the Data Use
Ontology (`terms`, `record`). A use is permitted only if the version in force says so and nothing forbids it
(`decide`): a denial overrides, and what isn't known is no.
"""
