"""Snoozes of rules, for the routes that read them."""

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock.governance.administration import RuleAdministration
from penstock.governance.snoozes import Snoozes


class SnoozeForm(msgspec.Struct):
    """A rule that does not act on a key for a time."""

    rule: str
    entity: Annotated[str, Meta(description="What the key identifies.")]
    key: Annotated[str, Meta(description="A personal one as its token.")]
    by: Annotated[str, Meta(description="Who snoozed it.")]
    reason: str
    since: Annotated[str, Meta(description="When it was snoozed.")]
    until: Annotated[str, Meta(description="From when the rule acts again.")]


class SnoozesByDetector:
    """The snoozes of the rules of each detector whose rules are administered here."""

    def __init__(self, administrations: Mapping[str, RuleAdministration]) -> None:
        self._administrations = administrations

    def of(self, detector: str) -> Snoozes | None:
        """Those of one detector; None if its rules are not administered here."""
        return self._administrations[detector].snoozes if detector in self._administrations else None
