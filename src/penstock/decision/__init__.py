"""Decisions: from a score and the fired rules to an action, its reasons, and its JSON.

verdicts = Judge(policy, rules, thresholds).decide(batch.x, scores, failed)
record = compose(batch, codes, verdicts, scores, ...)      # stored in the ledger
answers = Renderer(name, layout, versions, rules, features).render(record)
"""

from penstock.decision.guard import GUARDS, Guard
from penstock.decision.judge import NO_ACTION, BatchDecisions, Judge
from penstock.decision.policy import Policy, Thresholds
from penstock.decision.record import TEXT, as_list, compose, contributions_of, versions_of
from penstock.decision.render import Renderer, conflicting, decision_of
from penstock.decision.split_renderer import SplitRenderer

__all__ = [
    "GUARDS",
    "NO_ACTION",
    "TEXT",
    "BatchDecisions",
    "Guard",
    "Judge",
    "Policy",
    "Renderer",
    "SplitRenderer",
    "Thresholds",
    "as_list",
    "compose",
    "conflicting",
    "contributions_of",
    "decision_of",
    "versions_of",
]
