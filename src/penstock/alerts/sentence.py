"""The text of an alert: the rule's message, or a sentence generated from the rule."""

from collections.abc import Mapping, Sequence

from penstock.alerts.rule import Burst, Condition, Gauge, Kind, RateRule
from penstock.messages import Type
from penstock.wording import Template, Value, plain

_FIGURES: dict[type[Kind], dict[str, Type]] = {
    Condition: {},
    Burst: {},
    RateRule: dict.fromkeys(("share", "usual_share", "count", "of"), Type.NUMBER),
    Gauge: {"value": Type.NUMBER},
}


class Sentence:
    """Formats the text for one rule's findings.

    scope: the columns of a decision that a message may name, besides what its kind of rule counts: `share`,
    `usual_share`, `count` and `of` of a rate, `value` of a gauge.

    Raises:
        DeclarationError: the message names an unknown column, or a format that does not fit.
    """

    def __init__(self, rule: Kind, scope: Mapping[str, Type], reads: Sequence[str]) -> None:
        self._rule = rule
        figures = _FIGURES[type(rule)]
        known = figures if isinstance(rule, Gauge) else {**scope, **figures}
        self._template = None
        if rule.message is not None:
            self._template = Template(rule.message, known, place=f"{rule.place}: message")
        self.names = tuple(name for name in (reads if self._template is None else self._template.names) if name not in figures)

    def say(self, values: Mapping[str, Value], about: str) -> str:
        """The sentence. about: the entity's key as people write it, or ''."""
        if self._template is not None:
            return self._template.fill(values)
        return _made(self._rule, values, about, self.names)


def _made(rule: Kind, values: Mapping[str, Value], about: str, names: Sequence[str]) -> str:
    name = rule.name.replace("_", " ")
    whose = f" of {about}" if about else ""
    if isinstance(rule, Condition):
        read = ", ".join(f"{each} is {plain(values[each])}" for each in names)
        return f"{name}{whose}: {read}"
    if isinstance(rule, Burst):
        what = f"different {rule.distinct}" if rule.distinct else "decisions"
        which = f" with {rule.when}" if rule.when else ""
        return f"{name}: more than {rule.more_than} {what}{whose} within {rule.within}{which}"
    if isinstance(rule, RateRule):
        said = f"{_percent(values['share'])} of {plain(values['of'])} decisions within {rule.within} are {rule.when}"
        return f"{name}: {said}" if rule.times is None else f"{name}: {said}, usually {_percent(values['usual_share'])}"
    grew = f"grew by {plain(values['value'])} within {rule.within}" if rule.within else f"is {plain(values['value'])}"
    lasting = "" if rule.us("lasting") == 0 else f" for {rule.lasting}"
    return f"{name}: {rule.metric} {grew}{lasting} (more than {plain(rule.more_than)})"


def _percent(share: Value) -> str:
    return f"{share:.1%}" if isinstance(share, float) else plain(share)
