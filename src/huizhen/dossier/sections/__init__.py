"""The sections of the dossier, one a module: each reads the record and says what it shows."""
