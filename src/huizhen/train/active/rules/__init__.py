"""The query rules, one a file."""
