"""HTML pages of reports, from the templates in `templates/`, and the functions with which these format figures."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from penstock.outcomes import LEAST_KNOWN, said

if TYPE_CHECKING:
    from jinja2 import Environment

ABSENT = "\N{EN DASH}"
"""Stands for an unknown value."""

NAMES = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "recall_at_fpr_0.001": "recall at 0.1 % false positives",
    "recall_at_fpr_0.01": "recall at 1 % false positives",
    "recall_at_fpr_0.05": "recall at 5 % false positives",
    "card_precision_at_100": "card precision@100",
    "value_detection_rate": "value detection rate",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "expected calibration error",
}
"""The names of figures, in the order of pages."""


def render(template: str, **values: Any) -> str:
    """A self-contained page: no scripts, no external resources. Every value is escaped, unless the template says `safe`."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        autoescape=True,
        loader=PackageLoader("penstock.offline"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )
    formats: tuple[Callable[..., str], ...] = (number, percent, interval, money, count, milliseconds, minute, anchor, said)
    found.globals |= {each.__name__: each for each in formats}
    found.globals |= {"ABSENT": ABSENT, "LEAST_KNOWN": LEAST_KNOWN, "NAMES": NAMES}
    found.filters["minute_of"] = minute
    return found


def number(value: float | None) -> str:
    """A figure with four digits."""
    return ABSENT if value is None else f"{value:.4f}"


def percent(value: float | None, digits: int = 1) -> str:
    """A share."""
    return ABSENT if value is None else f"{100 * value:.{digits}f} %"


def interval(ends: tuple[float, float] | None) -> str:
    """The ends of an interval."""
    return ABSENT if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"


def money(value: float | None) -> str:
    """An amount of money, without decimals if it is large."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def count(value: float | None) -> str:
    """A count or a mean of counts.

    >>> count(1234.0), count(2.5)
    ('1,234', '2.5')
    """
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def milliseconds(value: float | None) -> str:
    """A duration in milliseconds."""
    return ABSENT if value is None else f"{value:.2f} ms"


def minute(time: object) -> str:
    """An ISO time to the minute.

    >>> minute("2026-01-05T10:20:30Z")
    '2026-01-05 10:20'
    """
    return str(time)[:16].replace("T", " ")


def anchor(name: str) -> str:
    """The id of a section."""
    return name.lower().replace(" ", "-")
