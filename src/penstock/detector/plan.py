"""The plan: a compiled detector, the ordered steps applied to a batch."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.expressions import Members, Program
from penstock.features import Aggregate, Derived
from penstock.features.lookups import Loaded, Lookup
from penstock.features.money import Conversion, Money
from penstock.features.plan import EntityPlan
from penstock.messages import Column, Layout, Type
from penstock.rules import Rule, RuleSet

Feature = Aggregate | Derived | Lookup | Money
Step = Program | Loaded | Conversion
SCORE = "score"
"""The column of the ensemble's probability, which rules may read."""


@dataclass(slots=True)
class Plan:
    """The stages of a detector over one layout.

    before: steps over fields alone, then the filters of aggregates. entities: kernel plans. after: derived features
    that read aggregates. features: names of all features in order of declaration. inputs: columns that models read.
    """

    layout: Layout
    before: list[Step]
    entities: list[EntityPlan]
    after: list[Step]
    features: tuple[str, ...]
    inputs: tuple[str, ...]
    rules: RuleSet
    remembered: dict[str, list[Column]]
    fingerprints: dict[str, str]
    score: Column | None = None

    def with_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members], known: Collection[str] = ()) -> "Plan":
        """The same plan with other rules: their columns are the layout's last, so all others stay in place.

        known: columns that no event lacks.

        Raises:
            DeclarationError: a rule cannot work.
        """
        layout = self.layout.without("rule:", "watch:")
        return replace(self, layout=layout, rules=RuleSet(rules, layout, scope(layout), lists, known))


def scope(layout: Layout) -> dict[str, Type]:
    """The columns that expressions may read, with their types; filters and rules are not among them."""
    return {name: column.type for name, column in layout.items() if ":" not in name}


def fingerprint(text: str) -> str:
    """A short hash of a definition."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
