"""The nouns: study, case, cohort, evidence, predictions; digests, random streams, whole files."""
