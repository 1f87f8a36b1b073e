"""Payments by users of a payment service: seventeen signals of pace, device, place, habit and merchant."""

from penstock.detectors.payments.detector import detector

__all__ = ["detector"]
