"""Strategies: what the lead makes of a round's updates."""
