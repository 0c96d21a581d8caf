"""Secure aggregation: the lead learns the sum over hospitals and nothing else of any one of them."""
