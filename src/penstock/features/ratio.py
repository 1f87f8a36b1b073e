"""One aggregate over another: a short window over a long one, a customer over its peers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penstock.clock import EVER_US
from penstock.errors import DeclarationError
from penstock.features.derive import Derived, derive

if TYPE_CHECKING:
    from penstock.features.entity import Aggregate

_GROWS = ("count", "sum", "label_count")
"""Aggregates that grow with their window: a trend compares them per unit of time."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A declared quotient of two aggregates; null where either is null or the lower one is 0.

    factor: what the upper one is multiplied by. A detector reads it as three features: the two aggregates, under the names that
    they have where they are declared already, and what is derived from them.
    """

    upper: "Aggregate"
    lower: "Aggregate"
    factor: float = 1
    given_name: str | None = None

    def named(self, name: str) -> "Ratio":
        """The same ratio under another name."""
        if not name.isidentifier():
            raise DeclarationError(f"{name!r} cannot be a feature's name: use letters, digits and _, as in spending_trend")
        return replace(self, given_name=name)

    @property
    def name(self) -> str:
        """The given name, or upper_over_lower; of the lower one only the window where nothing else differs.

        >>> from penstock.features import Entity
        >>> Entity("customer_id").mean("amount", "1d").trend("30d").name
        'customer_mean_amount_1d_over_30d'
        """
        if self.given_name:
            return self.given_name
        same = replace(self.lower, window=self.upper.window).definition == self.upper.definition
        return f"{self.upper.name}_over_{self.lower.window if same else self.lower.name}".replace(".", "_")

    def spelled_out(self, names: dict[tuple[object, ...], str]) -> "Iterator[Aggregate | Derived]":
        """The features that it is made of. names: of declared aggregates, by definition; those missing are added."""
        for part in (self.upper, self.lower):
            if part.definition not in names:
                names[part.definition] = part.name
                yield part
        quotient = f"{names[self.upper.definition]} / {names[self.lower.definition]}"
        yield derive(self.name, quotient if self.factor == 1 else f"{self.factor:.17g} * {quotient}")


def trend(short: "Aggregate", window: str) -> Ratio:
    """An aggregate over the same one within a longer window; what grows with its window is compared per unit of time.

    Raises:
        DeclarationError: the window is not longer, or has no length where one is needed.
    """
    long = replace(short, window=window, given_name=None)
    place = f"feature {short.name}: trend({window!r})"
    if long.window_us <= short.window_us:
        raise DeclarationError(f"{place} needs a window that is longer than {short.window}")
    if short.kind not in _GROWS:
        return Ratio(short, long)
    if long.window_us == EVER_US:
        raise DeclarationError(f"{place}: a {short.kind} is compared per unit of time; give a window with a length, as in 30d")
    return Ratio(short, long, long.window_us / short.window_us)
