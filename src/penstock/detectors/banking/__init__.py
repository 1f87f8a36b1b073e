"""Payments by bank customers."""
