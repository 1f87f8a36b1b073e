"""Rings: connected components of keys and values, over epochs of event time."""
