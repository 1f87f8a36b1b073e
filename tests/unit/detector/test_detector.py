"""Mistakes in a declaration are found when it is declared, with the place and the remedy."""

from datetime import datetime

import msgspec
import pytest

from penstock import Detector, DetectorWarning, Entity, Label, Money, Rule, derive
from penstock.errors import DeclarationError


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    merchant_id: str
    amount: float
    currency: str
    is_fraud: bool | None = None


class Login(msgspec.Struct):
    timestamp: datetime
    customer_id: str


customer = Entity("customer_id")


def declare(*features, **options) -> Detector:
    return Detector("shop", event=Payment, id="transaction_id", time="timestamp", features=list(features), **options)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([customer.sum("amuont", "1h")], "feature 'customer_sum_amuont_1h': there is no field 'amuont'.*Did you mean amount"),
        ([Entity("custmer_id").count("1h")], "needs the field 'custmer_id'.*Did you mean customer_id"),
        ([customer.sum("merchant_id", "1h")], "needs numbers, but merchant_id is a text"),
        ([customer.mean("merchant_id", "1h")], "or a number: amount"),
        ([customer.mean("transaction_id", "1h")], "'transaction_id' is the id of an event.*numbers are: amount"),
        ([customer.count("1h"), customer.count("1h")], "declared twice"),
        ([customer.count("1h").named("amount")], "name of an event field"),
        ([customer.count("1h", of=Login)], "add it to informs"),
        ([customer.label_rate("7d")], "declares none; add label=Label"),
        ([customer.count("1h"), customer.sum("customer_count_1h", "1h")], "aggregates read fields"),
        ([derive("a", "b + 1"), derive("b", "a + 1")], "break the circle"),
        ([derive("ratio", "amount / usual")], "feature 'ratio'.*usual"),
        ([customer.count("1h", where="amount")], "where"),
    ],
)
def test_a_mistake_names_the_place_and_the_remedy(features, said) -> None:
    """Each is an error when the detector is declared."""
    with pytest.raises(DeclarationError, match=f"(?s){said}"):
        declare(*features)


@pytest.mark.parametrize(
    ("declaring", "said"),
    [
        (lambda: customer.count("1 fortnight"), "write a number and unit"),
        (lambda: customer.count("0s"), "is empty"),
        (lambda: customer.count("1h", curent=False), "Did you mean current"),
        (lambda: customer.last("amount", delay="1h"), "cannot be delayed"),
        (lambda: customer.count("1h", role="sent"), "is not a role"),
        (Entity, "needs the field"),
        (lambda: customer.count("1h").named("2 words"), "cannot be a feature's name"),
        (lambda: customer.median("amount", "ever"), "median needs a window with a length"),
        (lambda: customer.session_count("ever"), "session_count needs a gap with a length"),
        (lambda: customer.session_count("30m", delay="1d"), "cannot be delayed"),
        (lambda: customer.quantile("amount", "7d", q=90), "from 0 to 1, as in q=0.9"),
        (lambda: customer.mode("amount", "7d", q=0.5), "a quantile needs its share"),
        (lambda: customer.entropy("amount", "7d", most=20_000), "newest 1 to 10,000 values"),
        (lambda: customer.quantile("amount", "7d", q=0.9, most=20_000), "approx_quantile takes all of them in"),
        (lambda: customer.approx_quantile("amount", "ever", q=0.9), "approx_quantile needs a window with a length"),
        (lambda: customer.approx_quantile("amount", "7d", q=0.9, most=20), "there is no option 'most'"),
        (lambda: customer.entropy("amount", "7d", most=1.5), "newest 1 to 10,000 values"),
        (lambda: customer.quantile("amount", "7d", q="0.9"), "from 0 to 1, as in q=0.9"),
        (lambda: customer.mean("amount", "7d", most=20), "there is no option 'most'"),
        (lambda: customer.median("amount", "7d").trend("ever"), "median needs a window with a length"),
        (lambda: customer.session_count("30m").trend("7d"), "session_count has no trend"),
    ],
)
def test_an_aggregate_that_means_nothing_is_refused_at_once(declaring, said) -> None:
    """Before any detector is there."""
    with pytest.raises(DeclarationError, match=said):
        declaring()


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        (customer.count("1h"), "customer_count_1h"),
        (customer.max("amount", "7d", current=False), "customer_max_amount_7d_before"),
        (customer.count("7d", delay="7d"), "customer_count_7d_delay_7d"),
        (customer.quantile("amount", "7d", q=0.999), "customer_p99_9_amount_7d"),
        (customer.approx_quantile("amount", "7d", q=0.999), "customer_approx_p99_9_amount_7d"),
        (customer.median("amount", "7d", most=50), "customer_median_amount_7d_newest_50"),
        (customer.session_sum("amount", "30m"), "customer_session_sum_amount_30m"),
        (customer.last("merchant_id"), "customer_last_merchant_id"),
        (customer.since_last(), "customer_since_last"),
        (Entity("user_id", "merchant").count("ever"), "user_merchant_count_ever"),
        (customer.count("24h").named("small"), "small"),
    ],
)
def test_unnamed_features_are_called_by_what_they_are(feature, name) -> None:
    """entity_aggregate[_field][_window][_delay][_before]."""
    assert feature.name == name


def test_a_field_compared_with_an_aggregate_that_contains_it_is_warned_about() -> None:
    """And not where the aggregate leaves the event out."""
    with pytest.warns(DetectorWarning, match="current=False"):
        declare(customer.mean("amount", "7d"), rules=[Rule("spike", "amount > 3 * customer_mean_amount_7d")])
    declare(customer.mean("amount", "7d", current=False), rules=[Rule("spike", "amount > 3 * customer_mean_amount_7d_before")])


def test_sums_over_mixed_currencies_are_refused(tmp_path) -> None:
    """The converted amount is the remedy."""
    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-01-01,EUR,1.0\n2026-01-01,USD,0.9\n")
    euros = Money("amount", "currency", to="EUR", rates=str(tmp_path / "rates.csv")).named("euros")
    with pytest.raises(DeclarationError, match=r"would mix currencies.*'euros'"):
        declare(euros, customer.sum("amount", "1h"))
    assert "customer_sum_euros_1h" in declare(euros, customer.sum("euros", "1h")).plan.features


def test_models_read_numbers_that_are_no_keys_and_never_the_label() -> None:
    """Unless the detector says what they read."""
    features = [customer.count("1h"), customer.last("merchant_id"), derive("big", "amount > 10")]
    detector = declare(*features, label=Label("is_fraud"))
    assert set(detector.plan.inputs) == {"amount", "customer_count_1h", "big"}
    assert declare(*features, inputs=["big"]).plan.inputs == ("big",)
    assert declare(*features, inputs=["customer_last_merchant_id"]).plan.inputs == ("customer_last_merchant_id",)
    with pytest.raises(DeclarationError, match=r"'customer_count_2h' is no number, boolean or text.*customer_count_1h"):
        declare(*features, inputs=["customer_count_2h"])


def test_versions_change_with_what_they_name() -> None:
    """A rule changes the detector, not its state; a window changes both; a model is bound to the features it reads."""
    plain = declare(customer.count("1h"))
    ruled = declare(customer.count("1h"), rules=[Rule("many", "customer_count_1h > 9")])
    wider = declare(customer.count("2h").named("customer_count_1h"))
    assert plain.version != ruled.version
    assert plain.state_fingerprint == ruled.state_fingerprint != wider.state_fingerprint
    assert plain.fingerprint(["amount"]) == wider.fingerprint(["amount"])
    assert plain.fingerprint(["customer_count_1h"]) != wider.fingerprint(["customer_count_1h"])


def test_an_option_of_training_alone_changes_no_version() -> None:
    plain, other = (declare(label=Label("is_fraud", unobjected_is_good=each)) for each in (False, True))
    assert plain.version == other.version
    assert plain.label is not None
    assert repr(plain.label) == "Label(field='is_fraud', delay='0s', known_at=None, sources=())", "as in decisions of before"
