"""The plan: a compiled detector, the ordered steps applied to a batch."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from penstock.expressions import Members, Program
from penstock.features import Aggregate, Derived
from penstock.features.link_plan import EntityLinks, EntityRingPlan
from penstock.features.lookups import Loaded, Lookup
from penstock.features.money import Conversion, Money
from penstock.features.plan import EntityPlan
from penstock.messages import Column, Layout, Type
from penstock.rules import Rule, RuleSet

Feature = Aggregate | Derived | Lookup | Money
Step = Program | Loaded | Conversion
SCORE = "score"
"""The column of the ensemble's probability, which rules may read."""


class CompiledRules:
    """The rule sets of one plan that were compiled last: who checks a change, shows it and decides by it compiles it once.

    A rule set keeps nothing of the batches that it runs on, so threads may share one.
    """

    _KEPT = 2

    def __init__(self) -> None:
        self._kept: dict[tuple[tuple[Rule, ...], frozenset[str]], tuple[Layout, RuleSet]] = {}

    def of(
        self, layout: Layout, rules: tuple[Rule, ...], lists: Mapping[str, Members], known: frozenset[str]
    ) -> tuple[Layout, RuleSet]:
        """The rules over a layout without those of before, and that layout with their columns.

        Raises:
            DeclarationError: a rule cannot work.
        """
        found = self._kept.get((rules, known))
        if found is not None and found[1].asked <= lists.keys():
            return found[0], found[1].with_lists(lists)
        layout = layout.without("rule:", "watch:")
        compiled = RuleSet(rules, layout, scope(layout), lists, known)
        kept = list(self._kept.items())[1 - self._KEPT :]
        self._kept = dict([*kept, ((rules, known), (layout, compiled))])
        return layout, compiled


@dataclass(slots=True)
class Plan:
    """The stages of a detector over one layout.

    before: steps over fields alone, then the filters of aggregates. entities: kernel plans; links: those of linked features.
    after: derived features that read aggregates. features: names of all features in order of declaration. inputs: columns
    that models read.
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
    links: Sequence[EntityLinks | EntityRingPlan] = ()
    score: Column | None = None
    compiled: CompiledRules = field(default_factory=CompiledRules, repr=False, compare=False)

    def with_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members], known: Collection[str] = ()) -> "Plan":
        """The same plan with other rules: their columns are the layout's last, so all others stay in place.

        known: columns that no event lacks.

        Raises:
            DeclarationError: a rule cannot work.
        """
        layout, compiled = self.compiled.of(self.layout, tuple(rules), lists, frozenset(known))
        return replace(self, layout=layout, rules=compiled)


def scope(layout: Layout) -> dict[str, Type]:
    """The columns that expressions may read, with their types; filters and rules are not among them."""
    return {name: column.type for name, column in layout.items() if ":" not in name}


def fingerprint(text: str) -> str:
    """A short hash of a definition."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]
