"""Ratios of aggregates: a short window over a long one, a key over its peers."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from penstock import Detector, Entity, replay
from penstock.errors import DeclarationError


class Payment(msgspec.Struct):
    id: str
    at: datetime
    customer_id: str
    category: str | None = None
    amount: float = 0.0


customer, category = Entity("customer_id"), Entity("category")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def declare(*features) -> Detector:
    return Detector("shop", event=Payment, id="id", time="at", features=features)


def values(detector: Detector, payments: list[tuple[float, str, str | None, float]]) -> list[dict[str, float | None]]:
    """The features of payments: (days since the begin, customer, category, amount)."""
    rows = [
        {"id": str(n), "at": BEGIN + timedelta(days=days), "customer_id": who, "category": what, "amount": amount}
        for n, (days, who, what, amount) in enumerate(payments)
    ]
    return replay(detector, pl.DataFrame(rows)).select(detector.plan.features).to_dicts()


def test_an_aggregate_per_category_has_a_key_of_both_fields() -> None:
    """It is what the entity of both fields computes."""
    split = customer.mean("amount", "30d").per("category")
    assert split.entity.fields == ("customer_id", "category")
    assert split.definition == Entity("customer_id", "category").mean("amount", "30d").definition
    payments = [(0.0, "a", "food", 2.0), (1.0, "a", "toys", 90.0), (2.0, "a", "food", 4.0), (3.0, "a", None, 4.0)]
    found = values(declare(split), payments)
    assert [each["customer_category_mean_amount_30d"] for each in found] == [2.0, 90.0, 3.0, None]


def test_a_ratio_to_peers_is_the_quotient_of_both() -> None:
    """Both are features, too, so that models and people see of what it is made."""
    ratio = customer.mean("amount", "30d").ratio_to(category.mean("amount", "30d", current=False))
    detector = declare(ratio)
    parts = ("customer_mean_amount_30d", "category_mean_amount_30d_before")
    assert detector.plan.features == (*parts, f"{parts[0]}_over_{parts[1]}")
    found = values(detector, [(0.0, "a", "food", 10.0), (1.0, "b", "food", 50.0)])
    assert found[0][ratio.name] is None
    assert found[1][ratio.name] == 5.0


def test_a_trend_compares_counts_and_sums_per_unit_of_time() -> None:
    """Ten payments, one a day, are a steady pace; a mean needs no unit."""
    steady = declare(customer.count("1d").trend("10d"), customer.sum("amount", "1d").trend("10d").named("pace"))
    found = values(steady, [(float(day), "a", "food", 7.0) for day in range(30)])
    assert found[-1]["customer_count_1d_over_10d"] == found[-1]["pace"] == 1.0
    mean = declare(customer.mean("amount", "1d").trend("10d").named("drift"))
    assert [each["drift"] for each in values(mean, [(0.0, "a", "food", 1.0), (2.0, "a", "food", 3.0)])] == [1.0, 1.5]


def test_what_is_declared_already_is_not_computed_twice() -> None:
    """A ratio reads an aggregate of the same definition by the name that it has, wherever it stands."""
    daily = customer.count("1d").named("today")
    detector = declare(customer.count("24h").trend("7d").named("busier"), daily)
    assert detector.plan.features == ("customer_count_7d", "busier", "today")


def test_the_examples_of_the_reference_run() -> None:
    """Of the customer in this category, beside all customers in it, and of a day beside a month."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "features.md").read_text()
    block = re.search(r"## Peers and trends\n\n```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    features = [eval(line, {"customer": customer, "category": category}) for line in block[1].splitlines()]
    detector = declare(*features)
    found = values(detector, [(0.0, "a", "food", 10.0), (40.0, "a", "toys", 8.0), (41.0, "b", "toys", 24.0)])
    last = [found[-1][feature.name] for feature in features]
    assert last == [24.0, 24.0 / 16.0, 30.0]


@pytest.mark.parametrize(
    ("declaring", "said"),
    [
        (lambda: customer.count("7d").trend("1d"), "needs a window that is longer than 7d"),
        (lambda: customer.count("7d").trend("ever"), "compared per unit of time; give a window with a length"),
        (lambda: customer.last("amount").trend("7d"), "last has no trend"),
        (lambda: customer.count("7d").per("customer_id"), "its key has 'customer_id' already"),
        (lambda: customer.count("7d").per(), "no field is named"),
        (lambda: Entity("a", roles={"sent": "x", "received": "y"}).count("7d").per("category"), "it has roles"),
        (lambda: customer.count("1d").trend("7d").named("2 words"), "cannot be a feature's name"),
    ],
)
def test_a_ratio_that_means_nothing_is_refused_at_once(declaring, said) -> None:
    """With the remedy, before any detector is there."""
    with pytest.raises(DeclarationError, match=said):
        declaring()


def test_linked_aggregates_that_differ_in_links_or_degree_are_different_parts():
    customer = Entity("customer_id")
    by_device = customer.linked("device", window="30d")
    others = [customer.linked("ip", window="30d"), customer.linked("device", window="30d", max_degree=5)]
    assert len({each.definition for each in [by_device, *others]}) == 3
    assert by_device.named("other").definition == by_device.definition
