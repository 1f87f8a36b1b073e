"""Payments by bank customers: a customer, a merchant, an amount, a place and a time."""

from penstock.detectors.banking.detector import detector

__all__ = ["detector"]
