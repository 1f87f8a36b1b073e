"""Rates of the known outcomes of the last seven days, for gauges of alert rules.

They are read in the background, a little at a time, and renewed once a minute: no decision waits for them.
"""

import logging
from collections.abc import Mapping

from penstock.clock import SECOND_US, Clock
from penstock.engine.labels.outcomes import LabelledDecision, LabelOutcomes
from penstock.errors import LedgerError
from penstock.messages import Action
from penstock.outcomes import known_rate

SPAN_US = 7 * 86_400 * SECOND_US
RENEWED_US = 60 * SECOND_US
_LOOK_S = 0.05
"""How long one look reads labels at most; after a start, several looks read those of the last days."""

_log = logging.getLogger("penstock.alerts")


class KnownRates:
    """The rates of one detector, by the names of gauges. Not thread-safe."""

    names = frozenset(("false_positive_rate_known", "false_discovery_rate_known"))

    def __init__(self, outcomes: LabelOutcomes, clock: Clock) -> None:
        self._outcomes, self._clock = outcomes, clock
        self._figures: Mapping[str, float] = {}
        self._due_us = 0

    def figures(self) -> Mapping[str, float]:
        """The newest rates; one below 30 known outcomes, and all until the labels are read, are missing."""
        now_us = self._clock()
        if now_us < self._due_us:
            return self._figures
        try:
            known = self._outcomes.since(now_us - SPAN_US, rules=False, look_s=_LOOK_S)
        except LedgerError as error:
            _log.warning("rates of known outcomes cannot be renewed: %s", error)
            self._due_us = now_us + RENEWED_US
            return self._figures
        if known.read:
            self._figures, self._due_us = rates_of(known), now_us + RENEWED_US
        return self._figures


def rates_of(known: LabelledDecision) -> dict[str, float]:
    """The rates with enough known outcomes. false_positive_rate_known: of good transactions, those that were not approved.
    false_discovery_rate_known: of transactions that were not approved, the good ones.
    """
    good, fraud = (int(n) for n in known.counts.sum(axis=1))
    good_approved, fraud_approved = (int(n) for n in known.counts[:, Action.APPROVE.value])
    mistaken, caught = good - good_approved, fraud - fraud_approved
    rates = {
        "false_positive_rate_known": known_rate(mistaken, good),
        "false_discovery_rate_known": known_rate(mistaken, mistaken + caught),
    }
    return {name: rate.value for name, rate in rates.items() if rate.value is not None}
