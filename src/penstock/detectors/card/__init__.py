"""Card payments: an amount, what it is for, when and where; and whatever is known of card, user, device and merchant."""

from penstock.detectors.card.detector import detector

__all__ = ["detector"]
