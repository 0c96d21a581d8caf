"""Tasks: what is predicted, and the loss that teaches it."""
