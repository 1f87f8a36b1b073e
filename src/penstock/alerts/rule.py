"""Alert rules as data: four kinds, each a table of TOML."""

import re
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from penstock.alerts.alert import SEVERITIES, Severity
from penstock.clock import duration_us
from penstock.decoding import prepared
from penstock.errors import DeclarationError, did_you_mean

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")

METRICS = frozenset(
    (
        "quarantined",
        "quarantine_lost",
        "degraded",
        "duplicates",
        "conflicts",
        "memory_refused",
        "lag",
        "stores_lag_s",
        "drift",
        "false_positive_rate_known",
        "false_discovery_rate_known",
    )
)
"""The figures of a running process that a gauge may ask for; docs/guide/alerts.md says what they count."""

Count = Annotated[int, Meta(ge=1)]
Above = Annotated[float, Meta(gt=0)]


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """The settings of every alert rule.

    name: unique in its file. severity: info, warning or critical. message: a sentence with `{name}` or `{name:format}`
    in place of values; generated from the rule if omitted. detector: the only one it is about; all if omitted. cooldown:
    how long after an alert another like it (of the same entity, if `per` names one) is suppressed. limit: the most
    alerts of this rule within an hour. off: this rule is disabled, for instance one of the defaults. file: where it was
    read; not a key of its table.
    """

    name: str
    severity: Severity = "warning"
    message: str | None = None
    detector: str | None = None
    cooldown: str = "10m"
    limit: Count = 20
    off: bool = False
    file: str = ""

    durations: ClassVar[tuple[str, ...]] = ("cooldown",)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(f"alert {self.name!r}: a name has up to 63 letters, digits and _, as in burst_of_blocks")
        for name in self.durations:
            if getattr(self, name) == "ever" or (self.us(name) <= 0 and name not in ("cooldown", "lasting")):
                raise DeclarationError(f"{self.place}: {name} = {getattr(self, name)!r} is no length of time; write 5m or 1h")

    @property
    def place(self) -> str:
        """Its file and name in errors."""
        return _place(self.name, self.file)

    def us(self, name: str) -> int:
        """One of its durations in microseconds."""
        return duration_us(getattr(self, name), what=f"{self.place}: {name}")

    @property
    def kind(self) -> str:
        """condition, burst, rate or gauge."""
        return str(self.__struct_config__.tag)


class Condition(AlertRule, frozen=True, kw_only=True, tag="condition"):
    """Raises an alert for every decision for which `when` is true. per: the fields of the entity that cool-downs apply to."""

    when: str
    per: str | tuple[str, ...] = ()


class Burst(AlertRule, frozen=True, kw_only=True, tag="burst"):
    """More than `more_than` decisions for which `when` is true within a window, of one entity if `per` names one; or, with
    `distinct`, that many different values of a field among them.
    """

    more_than: Count
    within: str = "5m"
    when: str | None = None
    per: str | tuple[str, ...] = ()
    distinct: str | None = None

    durations: ClassVar[tuple[str, ...]] = ("cooldown", "within")


class RateRule(AlertRule, frozen=True, kw_only=True, tag="rate"):
    """The share of decisions for which `when` is true, within a window: above `times` its share in the `reference` window
    before that, or above a fixed share. At least `least` such decisions.
    """

    when: str
    within: str = "10m"
    times: Above | None = None
    above: Above | None = None
    reference: str = "24h"
    least: Count = 20

    durations: ClassVar[tuple[str, ...]] = ("cooldown", "within", "reference")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.times is None) == (self.above is None):
            raise DeclarationError(f"{self.place}: give times = N (of the usual share) or above = SHARE, one of both")


class Gauge(AlertRule, frozen=True, kw_only=True, tag="gauge"):
    """A figure of the running process above `more_than`, without interruption for as long as `lasting`; with `within`, its
    growth in that time.
    """

    metric: str
    more_than: Annotated[float, Meta(ge=0)]
    within: str | None = None
    lasting: str = "0s"

    durations: ClassVar[tuple[str, ...]] = ("cooldown", "lasting")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metric not in METRICS:
            raise DeclarationError(f"{self.place}: there is no metric {self.metric!r}.{did_you_mean(self.metric, METRICS)}")
        if self.within is not None and duration_us(self.within, what=f"{self.place}: within") <= 0:
            raise DeclarationError(f"{self.place}: within = {self.within!r} is no length of time; write 5m or 1h")


Kind = Condition | Burst | RateRule | Gauge
_KINDS: dict[str, type[Kind]] = {str(kind.__struct_config__.tag): kind for kind in (Condition, Burst, RateRule, Gauge)}


def rule_of(table: Any, file: str = "") -> Kind:
    """The rule that a table of TOML declares; its `kind` is `condition` by default. file: where it stands, for errors.

    >>> rule_of({"name": "likely", "when": "fraud_probability > 0.9"}).kind
    'condition'

    Raises:
        DeclarationError: naming the rule, the key and what is allowed.
    """
    if not isinstance(table, dict):
        raise DeclarationError(f"{file}: a rule of alerting is a table, [[alerts]], not {table!r}".removeprefix(": "))
    place = _place(table.get("name", "?"), file)
    kind = table.get("kind", "condition")
    if kind not in _KINDS:
        raise DeclarationError(f"{place}: there is no kind {kind!r}.{did_you_mean(str(kind), _KINDS)}")
    struct = _KINDS[kind]
    known = [name for name in struct.__struct_fields__ if name != "file"]
    for key in table:
        if key not in known and key != "kind":
            raise DeclarationError(f"{place}: a {kind} has no {key!r}.{did_you_mean(key, known)}")
    severity = table.get("severity", SEVERITIES[0])
    if severity not in SEVERITIES:
        raise DeclarationError(f"{place}: there is no severity {severity!r}.{did_you_mean(str(severity), SEVERITIES)}")
    try:
        return msgspec.convert({**table, "kind": kind, "file": file}, prepared(struct))
    except msgspec.ValidationError as error:
        raise _explained(error, place) from None


def _place(name: Any, file: str) -> str:
    return f"{file}: alert {name!r}" if file else f"alert {name!r}"


def _explained(error: msgspec.ValidationError, place: str) -> DeclarationError:
    if isinstance(error.__cause__, DeclarationError):
        return error.__cause__
    return DeclarationError(f"{place}: {str(error)[0].lower()}{str(error)[1:].replace('`$.', '`')}")


def fields_of(per: str | tuple[str, ...]) -> tuple[str, ...]:
    """The fields that `per` names."""
    return (per,) if isinstance(per, str) else per
