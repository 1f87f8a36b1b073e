"""The control share: a few would-be blocks that are let through, so that people learn what blocks are worth.

Who is let through depends on the transaction id alone, so a replay lets the same ones through.
"""

from collections.abc import Sequence

import numpy as np

from penstock.codes import text_codes
from penstock.decision import NO_ACTION, BatchDecisions, Policy
from penstock.decision.kernel import BY_CONTROL, BY_FAILURE
from penstock.messages import Action
from penstock.rules import KeyShare, RuleSet

_FIELD = "the transaction id"


class ControlShare:
    """Approves a share of would-be blocks (the control share); never those of hard rules, nor those of a failure.

    Args:
        policy: says how many, and the salt. rules: of the detector, in their order.
    """

    def __init__(self, policy: Policy, rules: RuleSet) -> None:
        self._policy = policy
        self._share = KeyShare(_FIELD, 0.0, 100 * policy.control_share, f"control {policy.control_salt}")
        self._hard = np.array([rule.hard for rule in rules] + [False], np.bool_)

    @classmethod
    def of(cls, policy: Policy, rules: RuleSet) -> "ControlShare | None":
        """The control share of the policy; None if it is 0."""
        return cls(policy, rules) if policy.control_share else None

    def let_through(self, ids: Sequence[str], verdicts: BatchDecisions) -> None:
        """Approve the chosen ones; `verdicts.control` says what they would have been."""
        verdicts.control_share = self._policy.control_share
        verdicts.control = np.full(len(verdicts.action), NO_ACTION, np.uint8)
        hard = (verdicts.by >= 0) & self._hard[np.maximum(verdicts.by, -1)]
        rows = np.flatnonzero((verdicts.action == Action.BLOCK.value) & ~hard & (verdicts.by != BY_FAILURE))
        if not len(rows):
            return
        chosen = rows[self._share.holds(text_codes([ids[row] for row in rows.tolist()]))]
        verdicts.control[chosen] = verdicts.action[chosen]
        verdicts.action[chosen] = Action.APPROVE.value
        verdicts.by[chosen] = BY_CONTROL
