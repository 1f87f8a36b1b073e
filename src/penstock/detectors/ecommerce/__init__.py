"""Purchases in an online shop: an account, a device, an address, and how long ago the account was opened."""

from penstock.detectors.ecommerce.detector import detector

__all__ = ["detector"]
