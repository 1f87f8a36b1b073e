"""The simulated payment: the numpy record type that all parts of the simulator use."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Payments = NDArray[np.void]
"""A stretch of payments: a structured array of `PAYMENT`."""

PAYMENT = np.dtype(
    [
        ("time_us", np.int64),  # when it happened, UTC
        ("stamp_us", np.int64),  # the time it carries: its clock may be off
        ("arrived_us", np.int64),  # when it reached the decider
        ("number", np.int64),  # identifies it in its world
        ("purchase", np.int64),  # what it pays for: further tries and parts share it
        ("person", np.int64),
        ("merchant", np.int64),
        ("amount", np.float64),
        ("lat", np.float64),
        ("long", np.float64),
        ("online", np.bool_),
        ("device", np.int64),
        ("ip", np.int64),  # IPv4 as a number
        ("signup_us", np.int64),  # when the person's account was opened
        ("payee", np.int64),  # the person who gets it; -1: the merchant
        ("kind", np.int8),  # what kind of movement, where a profile has several; -1: any
        ("part", np.float64),  # the part of what the account holds that is taken; 0: the amount as it stands
        ("attack", np.int8),  # index of the attack it belongs to, -1: honest
        ("reported", np.bool_),  # somebody will call it fraud
        ("known_us", np.int64),  # when that becomes known; 0: never
    ]
)

HONEST = -1


def payments(length: int, **columns: Any) -> Payments:
    """Payments with these columns; the others are 0, and honest.

    >>> int(payments(2, amount=[1.5, 2.5])["attack"][0])
    -1
    """
    made = np.zeros(length, PAYMENT)
    made["attack"] = HONEST
    made["payee"] = made["kind"] = -1
    for name, values in columns.items():
        made[name] = values
    return made


def joined(parts: Sequence[Payments]) -> Payments:
    """All of these, one after the other."""
    return np.concatenate(parts) if parts else payments(0)
