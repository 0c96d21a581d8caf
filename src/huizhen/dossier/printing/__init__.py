"""The dossier on paper: PDF/A and Word, from the same content as the page."""
