"""The decision policy: actions by score, and the action on failure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from penstock.decision.guard import GUARDS, Guard
from penstock.errors import DeclarationError, did_you_mean

ON_FAILURE = ("approve", "review", "block")
"""The allowed outcomes of `on_failure`."""

ON_TIMEOUT = (*ON_FAILURE, "provisional")
"""The allowed fallback decisions when a worker misses the deadline."""

SEVEREST, RULES_FIRST = ORDERS = ("severest", "rules_first")
"""Whether the severest outcome of score and rules is given, or, as version 0.1 did, that of a rule where one fires."""

_MOST_CONTROL = 0.2

NEVER = float("inf")
"""A threshold that no probability reaches."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The probabilities from which a score decides; `NEVER` where it does not."""

    challenge_at: float = NEVER
    review_at: float = NEVER
    block_at: float = NEVER

    @property
    def lowest(self) -> float:
        """The probability from which the score decides anything."""
        return min(self.challenge_at, self.review_at, self.block_at)


@dataclass(frozen=True, slots=True)
class Policy:
    """The decision policy: thresholds on the score, and the action when there is no score because of a failure.

    Args:
        review_at, block_at: probabilities in (0, 1]; those left out come from the model bundle.
        on_failure: `approve`, `review` or `block` where a model or a lookup fails or takes too long.
        on_timeout: the answer if a worker behind a broker does not decide in time: one of the same, or
            `provisional`: scored at once and read-only, from the last known state. The worker's decision stands.
        challenge_at: the probability from which a step-up is requested; never by default.
        time_budget_ms: the time limit of lookups and models for one micro-batch; none by default.
        explain: compute contributions for decisions that are not approvals.
        guards: limits for rules and models in rollout; by default `decision.guard.GUARDS`. They decide nothing, so they belong
            to no version.
        control_share: the share of would-be blocks that is let through, chosen by the transaction id: the only unbiased
            measure of the value of blocks. Hard blocks are never let through. At most 0.2.
        control_salt: part of that choice; with it, a sender who names transactions can predict which are let through.
        order: `severest`, the severest outcome of score and rules is given unless a rule overrides; or `rules_first`, the order
            of version 0.1, in which any rule decides before the score. What was recorded under one is verified under that.

    >>> Policy(review_at=0.5, block_at=0.8).thresholds({}).block_at
    0.8

    Raises:
        DeclarationError: naming the value and what is allowed.
    """

    review_at: float | None = None
    block_at: float | None = None
    on_failure: str = "review"
    challenge_at: float | None = None
    time_budget_ms: float | None = None
    explain: bool = True
    on_timeout: str = "review"
    guards: Sequence[Guard] = field(default=GUARDS, repr=False)
    control_share: float = field(default=0.0, repr=False)
    control_salt: str = field(default="", repr=False)
    order: str = field(default=SEVEREST, repr=False)

    def __post_init__(self) -> None:
        self._check_thresholds()
        self._check_control()
        if self.on_failure not in ON_FAILURE:
            hint = did_you_mean(str(self.on_failure), ON_FAILURE)
            raise DeclarationError(f"policy: on_failure={self.on_failure!r} is not understood.{hint}")
        if self.time_budget_ms is not None and (not _is_number(self.time_budget_ms) or not 0 < self.time_budget_ms < NEVER):
            raise DeclarationError(f"policy: time_budget_ms={self.time_budget_ms!r} must be above 0, or left out for no limit")

        if self.on_timeout not in ON_TIMEOUT:
            hint = did_you_mean(str(self.on_timeout), ON_TIMEOUT)
            raise DeclarationError(f"policy: on_timeout={self.on_timeout!r} is not understood.{hint}")
        if self.order not in ORDERS:
            hint = did_you_mean(str(self.order), ORDERS)
            raise DeclarationError(f"policy: order={self.order!r} is not understood; use {' or '.join(ORDERS)}.{hint}")

    def _check_control(self) -> None:
        object.__setattr__(self, "guards", tuple(self.guards))
        for guard in self.guards:
            if not isinstance(guard, Guard):
                raise DeclarationError(f"policy: guards={guard!r}: write Guard('block_rate', more=0.05)")
        if not _is_number(self.control_share) or not 0 <= self.control_share <= _MOST_CONTROL:
            raise DeclarationError(
                f"policy: control_share={self.control_share!r} must lie between 0 and {_MOST_CONTROL}, as in 0.01"
            )

    @property
    def version(self) -> list[str]:
        """The parts of a detector's version that `repr` leaves out; none where it decides as in version 0.1."""
        control = [f"control {self.control_share!r} {self.control_salt!r}"] if self.control_share else []
        return control + ([f"order {self.order}"] if self.order != RULES_FIRST else [])

    def _check_thresholds(self) -> None:
        named = [(name, getattr(self, name)) for name in ("challenge_at", "review_at", "block_at")]
        declared = [(name, value) for name, value in named if value is not None]
        for name, value in declared:
            if not _is_number(value) or not 0 < value <= 1:
                raise DeclarationError(
                    f"policy: {name}={value!r} is no probability; give a number above 0 and at most 1, as in 0.5"
                )
        for (low_name, low), (high_name, high) in pairwise(declared):
            if low > high:
                raise DeclarationError(
                    f"policy: {low_name}={low} lies above {high_name}={high}; order them challenge <= review <= block"
                )

    def thresholds(self, suggested: Mapping[str, float]) -> Thresholds:
        """The thresholds in force: declared ones win, omitted ones are those of the model bundle.

        Where a suggestion would break the order challenge <= review <= block, it moves to its declared neighbour.
        """
        challenge = NEVER if self.challenge_at is None else self.challenge_at
        review = _first(self.review_at, suggested.get("review_at"))
        block = _first(self.block_at, suggested.get("block_at"))
        if self.review_at is None and review < NEVER:
            floor = self.challenge_at or 0.0
            review = max(floor, min(review, NEVER if self.block_at is None else self.block_at))
        if self.block_at is None and review < NEVER:
            block = max(block, review)
        return Thresholds(challenge, review, block)


def _first(declared: float | None, suggested: float | None) -> float:
    return next((value for value in (declared, suggested) if value is not None), NEVER)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
