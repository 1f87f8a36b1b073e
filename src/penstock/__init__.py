"""Penstock decides about every transaction while it happens: approve, review or block."""

__version__ = "0.1.0"
