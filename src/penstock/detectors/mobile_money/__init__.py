"""Mobile money: wallets that hold a balance, transfers between them, and cash in and out at agents."""

from penstock.detectors.mobile_money.detector import detector

__all__ = ["detector"]
