"""Disturbances of images and rows in fixed steps: pure functions, drawn by seed, patient and kind."""
