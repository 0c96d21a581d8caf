"""Networks: encoders, cross-modal alignment and its baselines, and the bundle they are kept in."""
