"""The pipeline: a study's stages in order, each resumable, each leaving evidence in the ledger."""
