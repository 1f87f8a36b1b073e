"""Payments by bank customers: a customer, a merchant, an amount, a place and a time."""
