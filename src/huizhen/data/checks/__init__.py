"""What is odd in a cohort's images and tables, by their own look: nothing here reads an outcome."""
