"""Who decides: rules by their precedence, then the score, then nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.decision import kernel
from penstock.decision.policy import Policy, Thresholds
from penstock.messages import Action


class Judged(Protocol):
    """What a judge needs to know of a rule."""

    @property
    def index(self) -> int:
        """The column of the matrix that is 1 where it fired."""
        ...

    @property
    def action(self) -> str:
        """What it asks for: allow, challenge, review or block."""
        ...

    @property
    def hard(self) -> bool:
        """A block that no allow can lift."""
        ...


@dataclass(slots=True)
class Verdicts:
    """What was decided about a micro-batch.

    action: uint8 (n,), values of `messages.Action`. by: int16 (n,): the index of the rule that decided, or
    `kernel.BY_SCORE`, `BY_NOTHING` (an approval), `BY_FAILURE`. unusual: the rows that are no plain approvals, for which
    no rule fired and nothing failed. control: uint8 (n,), what was let through would have been, `NO_ACTION` for all others;
    None where nothing is let through. control_share: how likely each of these was to be let through.
    """

    action: NDArray[np.uint8]
    by: NDArray[np.int16]
    unusual: NDArray[np.int64]
    control: NDArray[np.uint8] | None = None
    control_share: float = 0.0


NO_ACTION = 255
"""Stands where there is no action: nobody judged, or nothing was changed."""


class Judge:
    """Decides micro-batches: hard block, allow, block, review, challenge, then the score, else approve.

    The first in this order decides, whatever comes after it; among rules of the same kind it is the first declared.
    Where the score is missing because something failed, the policy's `on_failure` stands in its place.
    """

    def __init__(self, policy: Policy, rules: Sequence[Judged], thresholds: Thresholds | None = None) -> None:
        self.thresholds = policy.thresholds({}) if thresholds is None else thresholds
        self._columns = np.array([rule.index for rule in rules], np.int64)
        self._ranks = np.array([_rank(rule) for rule in rules], np.int64)
        levels = self.thresholds
        self._levels = np.array([levels.challenge_at, levels.review_at, levels.block_at])
        self._on_failure = Action.named(policy.on_failure).value

    def decide(self, x: NDArray[np.float64], scores: NDArray[np.float64], failed: NDArray[np.bool_] | None = None) -> Verdicts:
        """Decide every row of x (n, width), in which the columns of rules are filled.

        scores: (n, 1 + m), the probability first; NaN where there is none. failed: (n,), where that is because something
        failed.
        """
        n = len(scores)
        action, by, unusual = np.empty(n, np.uint8), np.empty(n, np.int16), np.empty(n, np.int64)
        failed = _NOTHING if failed is None else failed
        count = kernel.judge(x, self._columns, self._ranks, scores, self._levels, failed, self._on_failure, action, by, unusual)
        return Verdicts(action, by, unusual[:count])


_NOTHING = np.empty(0, np.bool_)
_RANKS = {
    "challenge": kernel.CHALLENGES,
    "review": kernel.REVIEWS,
    "block": kernel.BLOCKS,
    "allow": kernel.ALLOWS,
}


def _rank(rule: Judged) -> int:
    return kernel.BLOCKS_HARD if rule.hard else _RANKS[rule.action]
