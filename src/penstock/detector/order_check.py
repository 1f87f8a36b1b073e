"""Rules that version 0.1 would let decide, and that an order by severity does not: `penstock doctor` names them."""

from collections.abc import Mapping

from penstock.decision import Thresholds
from penstock.decision.judge import rank_of
from penstock.decision.kernel import BLOCKS
from penstock.decision.policy import NEVER, RULES_FIRST
from penstock.detector.detector import Detector
from penstock.detector.plan import scope
from penstock.expressions import parse
from penstock.expressions.satisfiability import TooMany, can_be_true
from penstock.messages import Action, Type
from penstock.rules import Rule


def no_longer_lowering(detector: Detector, suggested: Mapping[str, float] | None) -> list[str]:
    """Rules that version 0.1 would let decide where the score, or a failure, asks for more: one sentence for each.

    suggested: the thresholds of the models; None if there are none yet, and any score may reach those that the policy leaves
    to them.
    """
    if detector.policy.order == RULES_FIRST:
        return []
    acting = [rule for rule in detector.rules if rule.share is None or not rule.share.watches]
    unknown = {"review_at": 0.0, "block_at": 0.0}
    thresholds = detector.policy.thresholds(unknown if suggested is None else suggested)
    found = [(rule, _severer(detector, rule, thresholds)) for rule in acting]
    return [
        f"{rule.place} asks for {rule.then}, which is not given any more where {' or '.join(causes)}; version 0.1 gave it. "
        "Write override=True where it is meant to lower that"
        for rule, causes in found
        if causes
    ]


def _severer(detector: Detector, rule: Rule, thresholds: Thresholds) -> list[str]:
    """The sources of actions more severe than a rule's where the rule fires."""
    policy, rank = detector.policy, rank_of(rule.then, detector.policy.order, hard=rule.hard, override=rule.override)
    if rank >= BLOCKS:
        return []
    level = min(thresholds.block_at, thresholds.review_at if rank < Action.REVIEW.value else NEVER)
    causes = []
    if detector.models and level < NEVER and _possible(detector, rule, f"score >= {level} AND coalesce(score, 0) >= {level}"):
        causes.append(f"the score reaches {level:g}" if level else "the score asks for more")
    without = "score IS NULL" if detector.models else "TRUE"
    if Action.named(policy.on_failure).value > rank and _possible(detector, rule, without):
        causes.append(f"something fails (on_failure={policy.on_failure!r})")
    return causes


def _possible(detector: Detector, rule: Rule, further: str) -> bool:
    """Whether some event can make a rule's condition and another one true; also true if that is unknown."""
    both = f"({rule.when}) AND ({further})"
    condition = parse(both, scope(detector.plan.layout), place=rule.place, expect=Type.BOOLEAN, lists=detector.lists)
    try:
        return can_be_true(condition.root, known=detector.schema.required)
    except TooMany:
        return True
