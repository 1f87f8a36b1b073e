"""Ensemble weights that the declaration leaves open, chosen on validation rows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DeclarationError
from penstock.models import metrics
from penstock.models.port import Vector

_STEPS = (0.2, 0.1, 0.05)
_WORTH = 1e-4
"""Of average precision: what a step must gain, so that weights leave their equal start only for a reason."""


def choose_weights(probabilities: NDArray[np.float64], y: Vector, declared: Sequence[float | None]) -> list[float]:
    """The members' shares: those declared as they are, the open ones such that average precision is highest.

    probabilities (n, m): the members' calibrated probabilities of validation rows, y (n,) their outcomes. Where all are
    declared they come back as they are, of any sum; where some are open, declared ones are shares of 1 and the open ones
    share the rest. From equal shares on, the step that gains most is taken until none gains: the same rows give the same
    weights. Without both classes, the open ones stay equal.

    Raises:
        DeclarationError: declared shares leave nothing for the open ones.
    """
    fixed = [weight for weight in declared if weight is not None]
    if len(fixed) == len(declared):
        return fixed
    rest = 1.0 - sum(fixed)
    if rest <= 0:
        raise DeclarationError(
            f"declared weights add up to {sum(fixed):g}, which leaves nothing for the models without one; "
            "declare shares below 1 in all, or leave all of them open"
        )
    is_open = [at for at, weight in enumerate(declared) if weight is None]
    shares = np.array([rest / len(is_open) if weight is None else weight for weight in declared])
    if 0 < y.sum() < len(y) and len(is_open) > 1:
        shares = _climbed(probabilities, y, shares, is_open)
    return [float(share) for share in shares]


def _climbed(
    probabilities: NDArray[np.float64], y: Vector, shares: NDArray[np.float64], is_open: Sequence[int]
) -> NDArray[np.float64]:
    worth = metrics.average_precision(probabilities @ shares, y)
    for step in _STEPS:
        while True:
            moves = [_moved(shares, giver, taker, step) for giver in is_open for taker in is_open if giver != taker]
            found = [(metrics.average_precision(probabilities @ move, y), move) for move in moves if move is not None]
            best, move = max(found, key=lambda each: each[0], default=(0.0, shares))
            if best <= worth + _WORTH:
                break
            worth, shares = best, move
    return shares


def _moved(shares: NDArray[np.float64], giver: int, taker: int, step: float) -> NDArray[np.float64] | None:
    """The shares with a step taken from one and given to another; None where the giver would keep nothing."""
    if shares[giver] - step <= 1e-9:
        return None
    moved = shares.copy()
    moved[giver] -= step
    moved[taker] += step
    return np.round(moved, 6)
