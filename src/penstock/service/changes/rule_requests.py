"""Request schemas of the rules API."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from penstock.decision import Guard
from penstock.governance.rule_versions import Body

Note = Annotated[str, Meta(max_length=2000)]
Name = Annotated[str, Meta(min_length=1, max_length=63)]
Condition = Annotated[str, Meta(max_length=4000)]
Number = Annotated[int, Meta(ge=1)]
Then = Literal["allow", "challenge", "review", "block"]


class NewRule(msgspec.Struct, forbid_unknown_fields=True):
    """A version of a rule, as a draft."""

    name: Name
    when: Condition
    then: Then = "review"
    reason: Annotated[str, Meta(max_length=1000)] | None = None
    code: Annotated[str, Meta(max_length=63)] = ""
    hard: bool = False
    override: bool = False
    note: Note = ""

    @property
    def body(self) -> Body:
        """The rule's definition."""
        asked = {name: getattr(self, name) for name in Body.__struct_fields__}
        return Body(**asked)


class TryCondition(msgspec.Struct, forbid_unknown_fields=True):
    """A condition to check. name: the rule of which it would be a version. event: a transaction, or transaction_id: a
    recorded one, to evaluate the condition on.
    """

    when: Condition
    then: Then = "review"
    reason: Annotated[str, Meta(max_length=1000)] | None = None
    hard: bool = False
    override: bool = False
    name: Name | None = None
    event: dict[str, Any] | None = None
    transaction_id: str | None = None


class ShadowRule(msgspec.Struct, forbid_unknown_fields=True):
    """The version to run in shadow."""

    version: Number
    note: Note = ""


class RolloutRule(msgspec.Struct, forbid_unknown_fields=True):
    """The version to roll out to a share of the keys of a field. guards: replace those of the policy."""

    version: Number
    percent: Annotated[float, Meta(gt=0, le=100)]
    of: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Note = ""
    guards: list[Guard] | None = None


class PromoteRule(msgspec.Struct, forbid_unknown_fields=True):
    """The version to promote; the candidate unless given."""

    version: Number | None = None
    note: Note = ""


class AskForRule(msgspec.Struct, forbid_unknown_fields=True):
    """The requested change: promote a version, or roll it out to a share of the keys of a field."""

    version: Number
    action: Literal["promote", "rollout"] = "promote"
    percent: Annotated[float, Meta(gt=0, le=100)] | None = None
    of: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    note: Note = ""


class GiveReason(msgspec.Struct, forbid_unknown_fields=True):
    """The reason."""

    note: Note = ""
