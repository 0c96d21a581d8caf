"""Training: case data in arrays, augmentation, cached features, the fitting loop."""
