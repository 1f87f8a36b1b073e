"""Rule performance of one detector: firing counts, outcomes and precision."""

from typing import Literal

import numpy as np

from penstock.clock import iso
from penstock.engine import Engine
from penstock.engine.labels.outcomes import LabelledDecision
from penstock.engine.statistics.distribution import RuleCount, Tally
from penstock.messages import Action
from penstock.outcomes import ScoreSums, known_rate
from penstock.rules import CompiledRule
from penstock.service.insights.insight_schemas import LabelCounts, Outcomes, RuleInsight

State = Literal["deciding", "shared", "watching", "retired"]


def rules_of(engine: Engine, whole: Tally, known: LabelledDecision) -> list[RuleInsight]:
    """Every rule in force, and every other that fired. whole: the decisions; known: their known outcomes."""
    in_force = {rule.name: rule for rule in engine.detector.plan.rules}
    total = whole.total
    return [
        _rule(engine.detector.name, name, in_force.get(name), whole.rules.get(name, RuleCount()), known, total)
        for name in [*in_force, *(name for name in whole.rules if name not in in_force)]
    ]


def _rule(
    detector: str, name: str, rule: CompiledRule | None, fired: RuleCount, known: LabelledDecision, total: int
) -> RuleInsight:
    fires = int(fired.outcomes.sum())
    good, fraud = (int(n) for n in known.rules.get(name, np.zeros(2, np.int64)))
    by = dict(zip((action.name.lower() for action in Action), fired.outcomes.tolist(), strict=True))
    return RuleInsight(
        detector=detector,
        name=name,
        state=_state(rule),
        action=None if rule is None else rule.action,
        fires=fires,
        share=fires / total if total else None,
        outcomes=Outcomes(**by),
        only=fired.only,
        last_fired_at=iso(fired.last_us) if fired.last_us else None,
        labels=_labels(fraud, good, fires, ScoreSums(*fired.scores.tolist())),
    )


def _labels(fraud: int, good: int, fires: int, scores: ScoreSums) -> LabelCounts:
    rate = known_rate(fraud, fraud + good)
    unknown = max(fires - rate.of, 0)
    return LabelCounts(fraud, good, unknown, rate.value, rate.of, rate.low, rate.high, scores.rate())


def _state(rule: CompiledRule | None) -> State:
    if rule is None:
        return "retired"
    share = rule.rule.share
    if share is None:
        return "deciding"
    return "watching" if share.watches else "shared"
