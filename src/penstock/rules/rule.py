"""The declaration of a rule."""

import re
from dataclasses import dataclass

from penstock.errors import DeclarationError, did_you_mean
from penstock.rules.share import KeyShare

ACTIONS = ("allow", "challenge", "review", "block")
"""The actions of rules."""

RESERVED_CODES = ("ml_probability", "normal_behavior", "degraded", "control_share")
"""Values of `decision_reason` for decisions without a deciding rule."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Rule:
    """A declared rule: a condition, and the action requested where it is true.

    Args:
        name: unique in the detector; letters, digits and `_`.
        when: an SQL condition over fields, features and `score`; null is not true.
        then: `allow`, `challenge`, `review` or `block`.
        reason: a sentence for people, with `{name}` or `{name:format}` in place of values.
        code: the `decision_reason` where this rule decides; by default its name.
        hard: a block that no `allow` can lift.
        override: its action wins over more severe ones of the score or other rules. An `allow` always
            lowers, a hard block is never lowered: it changes nothing for these.
        share: the part of the traffic that it acts on, by default all; elsewhere it only watches: that it would have fired is
            recorded, without effect.
        unless: set by snoozes alone: the condition under which it does not act where it fires. Write exceptions into `when`.

    >>> Rule("amount_spike", "amount_ratio > 3", then="block", reason="{amount_ratio:.1f} times the usual").code
    'amount_spike'

    Raises:
        DeclarationError: naming the rule, the value and what is allowed.
    """

    name: str
    when: str
    then: str = "review"
    reason: str | None = None
    code: str = ""
    hard: bool = False
    share: KeyShare | None = None
    override: bool = False
    unless: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise DeclarationError(f"rule {self.name!r}: a name has up to 63 letters, digits and _, as in amount_spike")
        if self.then not in ACTIONS:
            hint = (
                " Leave the rule out, or write then='allow'."
                if self.then == "approve"
                else did_you_mean(str(self.then), ACTIONS)
            )
            raise DeclarationError(f"{self.place}: then={self.then!r} is no action of a rule; use {', '.join(ACTIONS)}.{hint}")
        if self.hard and self.then != "block":
            raise DeclarationError(f"{self.place}: hard=True is for then='block' only, not for {self.then!r}; leave hard out")
        if self.reason is not None and not isinstance(self.reason, str):
            raise DeclarationError(f"{self.place}: reason={self.reason!r} must be a sentence, or left out")
        self._settle_code()

    def _settle_code(self) -> None:
        if not self.code:
            object.__setattr__(self, "code", self.name)
        if not _NAME.fullmatch(self.code):
            raise DeclarationError(f"{self.place}: code={self.code!r}: a code has up to 63 letters, digits and _")
        if self.code in RESERVED_CODES:
            raise DeclarationError(f"{self.place}: the code {self.code!r} says that no rule decided; give another code=...")

    @property
    def place(self) -> str:
        """How errors name it."""
        return f"rule {self.name!r}"
