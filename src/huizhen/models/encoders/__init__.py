"""Image encoders: a network that turns an image into a grid of tokens."""
