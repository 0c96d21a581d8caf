"""The data check: what is missing, how images were made, which images and values are odd; all stays as is."""
