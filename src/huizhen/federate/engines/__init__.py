"""Engines: how a question reaches the sites and the answers come back."""
