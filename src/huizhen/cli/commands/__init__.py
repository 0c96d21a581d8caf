"""One module for each subcommand; each defines `command` and imports what it needs when it runs."""
