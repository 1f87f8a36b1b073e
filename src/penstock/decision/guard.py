"""Guards: limits on the harm of a candidate in trial, measured against the champion's decisions on the same events.

An attack raises the block rate of both, so it stops no candidate; a rule that blocks everything differs from the champion.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from penstock.clock import duration_us
from penstock.decoding import prepared
from penstock.errors import DeclarationError, did_you_mean
from penstock.messages import Action
from penstock.outcomes import LEAST_KNOWN

Figure = Literal["block_rate", "review_rate", "approval_rate", "precision", "error_rate", "p99_ms"]
"""The figures that a guard can watch."""

FIGURES: tuple[str, ...] = get_args(Figure)

HARMFUL_UNSEEN = ("error_rate", "p99_ms")
"""Figures that hurt also while a candidate only watches: its errors, and the time that everybody waits for it."""

_RATES = {"block_rate": Action.BLOCK, "review_rate": Action.REVIEW, "approval_rate": Action.APPROVE}
_LONGEST_US = duration_us("1d")
_SHORTEST_US = duration_us("1s")


class TrialFigures(msgspec.Struct, frozen=True):
    """Figures of champion and candidate on the same events.

    events: that both judged. champion, candidate: counts by action, the weakest first. errors: further events, on which the
    candidate failed. p99_ms: of each, None if unknown. stopped, frauds: among events that each would not have approved, the
    number of known outcomes, and of frauds.
    """

    events: int
    champion: tuple[int, ...] = (0, 0, 0, 0)
    candidate: tuple[int, ...] = (0, 0, 0, 0)
    errors: int = 0
    p99_ms: tuple[float, float] | None = None
    stopped: tuple[int, int] = (0, 0)
    frauds: tuple[int, int] = (0, 0)


class Guard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit for a candidate in trial, which is rolled back automatically when it exceeds the limit.

    Args:
        figure: `block_rate`, `review_rate`, `approval_rate`, `precision` (of what would be stopped, by mature labels),
            `error_rate` or `p99_ms` (of scoring).
        more: how far the candidate's may lie above the champion's on the same events: 0.05 is five points, for `p99_ms` it
            is milliseconds. No limit where it is left out.
        less: how far it may lie below.
        window: of the newest events, as in 5m. Precision is taken over everything since the trial began.
        least: the minimum number of events before the guard acts; for `precision` those of known outcome, of which at least 30
            are needed.

    >>> from penstock.decision.guard import TrialFigures
    >>> guard = Guard("block_rate", more=0.05, least=100)
    >>> guard.breach(TrialFigures(200, champion=(190, 0, 0, 10), candidate=(0, 0, 0, 200)))
    'block_rate is 100.0 %, the champion has 5.0 % on the same 200 events; at most 5.0 points more are allowed'
    >>> guard.breach(TrialFigures(200, champion=(0, 0, 0, 200), candidate=(0, 0, 0, 200))) is None      # an attack
    True

    Raises:
        DeclarationError: naming the value and what is allowed.
    """

    figure: Figure
    more: float | None = None
    less: float | None = None
    window: str = "5m"
    least: int = 500

    def __post_init__(self) -> None:
        if self.figure not in FIGURES:
            raise _no_figure(str(self.figure))
        if self.more is None and self.less is None:
            raise DeclarationError(f"guard of {self.figure}: give more=... or less=..., or leave the guard out")
        for name, value in (("more", self.more), ("less", self.less)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9):
                raise DeclarationError(f"guard of {self.figure}: {name}={value!r} must be a number, and not below 0")
        if not _SHORTEST_US <= self.window_us <= _LONGEST_US:
            raise DeclarationError(f"guard of {self.figure}: window={self.window!r} must lie between 1s and 1d")
        if isinstance(self.least, bool) or not isinstance(self.least, int) or self.least < 1:
            raise DeclarationError(f"guard of {self.figure}: least={self.least!r} must be a whole number above 0")

    @property
    def window_us(self) -> int:
        """The window, in microseconds."""
        return duration_us(self.window, what=f"guard of {self.figure}: window")

    @property
    def needs_labels(self) -> bool:
        """Whether the guard waits for labels, so that the ledger must be read."""
        return self.figure == "precision"

    def breach(self, figures: TrialFigures) -> str | None:
        """The exceeded limit, as a sentence; None if it is kept, or there are too few events."""
        found = self._figures(figures)
        if found is None:
            return None
        champion, candidate, events = found
        for by, limit, word in ((candidate - champion, self.more, "more"), (champion - candidate, self.less, "less")):
            if limit is not None and by > limit:
                of = "labelled events" if self.needs_labels else "events"
                return (
                    f"{self.figure} is {self._said(candidate)}, the champion has {self._said(champion)} on the same"
                    f" {events:,} {of}; at most {self._said_limit(limit)} {word} are allowed"
                )
        return None

    def _figures(self, figures: TrialFigures) -> tuple[float, float, int] | None:
        """The champion's, the candidate's, and of how many events; None where these are too few."""
        if self.figure == "precision":
            known = min(figures.stopped)
            return None if known < max(self.least, LEAST_KNOWN) else (*_ratios(figures.frauds, figures.stopped), known)
        if figures.events + figures.errors < self.least:
            return None
        if self.figure == "error_rate":
            return 0.0, figures.errors / (figures.events + figures.errors), figures.events + figures.errors
        if self.figure == "p99_ms":
            return None if figures.p99_ms is None else (*figures.p99_ms, figures.events)
        if not figures.events:
            return None
        action = _RATES[self.figure].value
        return figures.champion[action] / figures.events, figures.candidate[action] / figures.events, figures.events

    def _said(self, value: float) -> str:
        return f"{value:.1f} ms" if self.figure == "p99_ms" else f"{value:.1%}".replace("%", " %")

    def _said_limit(self, value: float) -> str:
        return f"{value:g} ms" if self.figure == "p99_ms" else f"{100 * value:.1f} points"


GUARDS = (
    Guard("block_rate", more=0.05),
    Guard("approval_rate", less=0.10),
    Guard("error_rate", more=0.01),
    Guard("p99_ms", more=50.0),
)
"""Those of a policy that declares none."""


def _no_figure(name: str) -> DeclarationError:
    return DeclarationError(f"guard: there is no figure {name!r}.{did_you_mean(name, FIGURES)}")


def _ratios(parts: tuple[int, int], wholes: tuple[int, int]) -> tuple[float, float]:
    return parts[0] / wholes[0], parts[1] / wholes[1]


def guard_of(text: str) -> Guard:
    """Parse a guard as written on the command line: the figure, then the limit.

    >>> guard_of("block_rate more=0.02 window=10m least=300").least
    300

    Raises:
        DeclarationError: it is not a guard.
    """
    figure, *rest = text.replace(",", " ").split() or [""]
    values: dict[str, object] = {"figure": figure}
    for each in rest:
        name, _, value = each.partition("=")
        try:
            values[name] = value if name == "window" else int(value) if name == "least" else float(value)
        except ValueError:
            raise DeclarationError(f"guard {text!r}: {each!r} is not understood; write {name}=NUMBER") from None
    return guards_of([values])[0]


def guards_of(values: Sequence[object]) -> tuple[Guard, ...]:
    """Guards from JSON.

    >>> guards_of([{"figure": "block_rate", "more": 0.02}])[0].more
    0.02

    Raises:
        DeclarationError: one of them is not a guard.
    """
    for each in values:
        figure = each.get("figure") if isinstance(each, dict) else None
        if isinstance(figure, str) and figure not in FIGURES:
            raise _no_figure(figure)
    try:
        return tuple(msgspec.convert(list(values), prepared(list[Guard])))
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, DeclarationError):
            raise error.__cause__ from None
        raise DeclarationError(f"guards: {error}; write {{'figure': 'block_rate', 'more': 0.05}}") from None
