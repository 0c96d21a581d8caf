"""Families of claims about locked predictions: one file each, all of the shape in `interface`."""
