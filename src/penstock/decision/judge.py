"""Precedence of a decision: a hard block, an allow, an overriding rule, then the most severe of score and rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from penstock.decision import kernel
from penstock.decision.policy import RULES_FIRST, Policy, Thresholds
from penstock.messages import Action


class Judged(Protocol):
    """The properties of a rule that decide its precedence."""

    @property
    def index(self) -> int:
        """The column of the matrix that is 1 where it fired."""
        ...

    @property
    def action(self) -> str:
        """The requested action: allow, challenge, review or block."""
        ...

    @property
    def hard(self) -> bool:
        """A block that no allow can lift."""
        ...

    @property
    def override(self) -> bool:
        """Whether its outcome wins over more severe ones of the score or other rules."""
        ...


@dataclass(slots=True)
class BatchDecisions:
    """The decisions about a micro-batch.

    action: uint8 (n,), values of `messages.Action`. by: int16 (n,): the index of the rule that decided, or
    `kernel.BY_SCORE`, `BY_NOTHING` (an approval), `BY_FAILURE`. unusual: the rows that are no plain approvals, for which
    no rule fired and nothing failed. lowered: uint8 (n,), the severest outcome that was asked for where a rule lowered it,
    else `NO_ACTION`; None where no rule can. control: uint8 (n,), what was let through would have been, `NO_ACTION` for all
    others; None where nothing is let through. control_share: how likely each of these was to be let through.
    """

    action: NDArray[np.uint8]
    by: NDArray[np.int16]
    unusual: NDArray[np.int64]
    lowered: NDArray[np.uint8] | None = None
    control: NDArray[np.uint8] | None = None
    control_share: float = 0.0


NO_ACTION = kernel.NO_ACTION


class Judge:
    """Decides micro-batches: a hard block, then an allow, then a rule that overrides, then the severest of score and rules.

    Where a rule asks for the same as the score, the rule decides; among rules of the same rank it is the first declared. Where
    the score is missing because something failed, the policy's `on_failure` stands in its place. Under the order
    `rules_first` of the policy any rule decides before the score does.

    lowers: whether a rule can lower an outcome, and says so.
    """

    def __init__(self, policy: Policy, rules: Sequence[Judged], thresholds: Thresholds | None = None) -> None:
        self.thresholds = policy.thresholds({}) if thresholds is None else thresholds
        self._columns = np.array([rule.index for rule in rules], np.int64)
        ranks = [rank_of(rule.action, policy.order, hard=rule.hard, override=rule.override) for rule in rules]
        self._ranks = np.array(ranks, np.int64)
        self.lowers = policy.order != RULES_FIRST and any(kernel.BLOCKS < rank < kernel.BLOCKS_HARD for rank in ranks)
        levels = self.thresholds
        self._levels = np.array([levels.challenge_at, levels.review_at, levels.block_at])
        self._on_failure = Action.named(policy.on_failure).value

    def decide(
        self, x: NDArray[np.float64], scores: NDArray[np.float64], failed: NDArray[np.bool_] | None = None
    ) -> BatchDecisions:
        """Decide every row of x (n, width), in which the columns of rules are filled.

        scores: (n, 1 + m), the probability first; NaN if absent. failed: (n,), where that is because something
        failed.
        """
        n = len(scores)
        action, by, unusual = np.empty(n, np.uint8), np.empty(n, np.int16), np.empty(n, np.int64)
        lowered = np.empty(n, np.uint8)
        failed = _NOTHING if failed is None else failed
        given = x, self._columns, self._ranks, scores, self._levels, failed, self._on_failure
        count = kernel.judge(*given, action, by, lowered, unusual)
        return BatchDecisions(action, by, unusual[:count], lowered if self.lowers else None)


_NOTHING = np.empty(0, np.bool_)
_RANKS = {
    "challenge": kernel.CHALLENGES,
    "review": kernel.REVIEWS,
    "block": kernel.BLOCKS,
    "allow": kernel.ALLOWS,
}


def rank_of(action: str, order: str, *, hard: bool = False, override: bool = False) -> int:
    """The rank of a rule under an order of the policy: where several fire, the highest counts.

    >>> rank_of("review", "severest") < rank_of("block", "severest") < rank_of("review", "severest", override=True)
    True
    """
    if hard:
        return kernel.BLOCKS_HARD
    asks = _RANKS[action]
    return asks if asks == kernel.ALLOWS else asks + kernel.OVERRIDES * (override + (order == RULES_FIRST))
