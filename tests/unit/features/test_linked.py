"""Declarations of linked features: their names, what is refused, and what they are as data."""

from datetime import datetime

import msgspec
import pytest

from penstock.adapters.spark.source import check_links
from penstock.detector import Detector
from penstock.errors import ConfigurationError, DeclarationError
from penstock.features import Entity, Label
from penstock.features.definitions import describe, feature_of
from penstock.wiring.streams import check_shard_key

CUSTOMER = Entity("customer")
RING = CUSTOMER.ring(["device", "ip"], window="30d", max_degree=10)
SHARED = CUSTOMER.linked(["device", "ip"], window="30d", max_degree=20)


class Payment(msgspec.Struct):
    """A payment."""

    id: str
    at: datetime
    customer: str
    device: str
    ip: str
    amount: float
    fraud: bool | None = None


def _detector(*features) -> Detector:
    label = Label("fraud")
    return Detector("shop", event=Payment, id="id", time="at", label=label, features=[CUSTOMER.count("1h"), *features])


def test_names_say_what_is_counted_over_which_links() -> None:
    """A name is made of entity, aggregate, links, field, window and delay."""
    device = CUSTOMER.linked("device", window="7d", current=False)
    names = [
        device.name,
        device.amount("amount").name,
        SHARED.share_of_frauds(delay="7d").name,
        SHARED.hubs().named("hubs").name,
    ]
    assert names == [
        "customer_linked_device_7d_before",
        "customer_linked_amount_device_amount_7d_before",
        "customer_linked_fraud_share_device_ip_30d_delay_7d",
        "hubs",
    ]


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: CUSTOMER.linked([], window="1d"), "name the fields"),
        (lambda: CUSTOMER.linked("customer", window="1d"), "its own key"),
        (lambda: CUSTOMER.linked(["ip", "ip"], window="1d"), "named twice"),
        (lambda: CUSTOMER.linked("ip", window="1d", max_degree=0), "max_degree=0"),
        (lambda: CUSTOMER.linked("ip", window="1d", delay="1d"), "give the delay to known_frauds"),
        (lambda: CUSTOMER.linked("ip", window="1d", by="known"), "no option 'by'"),
        (lambda: SHARED.amount("amount"), "more than once"),
        (lambda: CUSTOMER.ring("ip", window="ever"), "a window with a length"),
        (lambda: RING.distinct("card"), "'card' is no link of the ring; its links are device, ip"),
        (lambda: CUSTOMER.ring("customer", window="1d"), "its own key"),
        (lambda: CUSTOMER.ring("ip", window="1d", delay="1d"), "give the delay to known_frauds"),
        (lambda: _detector(CUSTOMER.ring("devise", window="1d")), "there is no field 'devise' to link by. .*device"),
        (
            lambda: _detector(CUSTOMER.linked("devise", window="1d")),
            "there is no field 'devise' to link by. .*device",
        ),
        (lambda: _detector(CUSTOMER.linked("ip", window="1d").amount("device")), "needs numbers"),
    ],
)
def test_what_cannot_work_is_refused_with_the_remedy(declare, said: str) -> None:
    """The error names the feature, and what to do."""
    with pytest.raises(DeclarationError, match=said.replace("(", r"\(")):
        declare()


def test_a_linked_feature_is_read_back_from_its_data() -> None:
    """So run-time features can be linked ones."""
    features = [SHARED, SHARED.known_frauds(delay="7d"), CUSTOMER.linked("ip", window="1d").amount("amount"), SHARED.hubs()]
    features += [RING, RING.known_frauds(delay="7d"), RING.distinct("ip"), RING.age()]
    for feature in features:
        made = feature_of("again", describe(feature), {"customer": CUSTOMER})
        assert made == feature.named("again")


def test_spark_and_shards_refuse_links_with_the_reason() -> None:
    """Both keep the events of different keys apart."""
    with pytest.raises(ConfigurationError, match=f"linked features \\({RING.name}, {RING.name}_age\\)"):
        check_links(_detector(RING, RING.age().named(f"{RING.name}_age")))
    detector = _detector(SHARED)
    with pytest.raises(ConfigurationError, match="depend on events of other keys"):
        check_links(detector)
    with pytest.raises(ConfigurationError, match="lead to keys of other shards"):
        check_shard_key(detector, "customer", 4)
    check_links(_detector())


def test_the_state_is_rebuilt_where_a_link_changes() -> None:
    """The fingerprint covers links and degree."""
    prints = {_detector(each).state_fingerprint for each in (SHARED, CUSTOMER.linked("device", window="30d"))}
    prints.add(
        _detector(CUSTOMER.linked("device", window="30d", max_degree=9).named("customer_linked_device_30d")).state_fingerprint
    )
    assert len(prints) == 3
