"""Readers: from a hospital's own files to image records, covariate rows and outcomes, one file per kind."""
