"""Which broker a URL names, and how a detector may be split."""

import pytest
from tests.integration import crash_worker

from penstock import Detector, Entity
from penstock.errors import ConfigurationError
from penstock.testing import ExamplePayment, example_detector
from penstock.wiring.streams import check_shard_key, open_broker


def test_what_is_no_stream_is_refused_with_what_is_one():
    with pytest.raises(ConfigurationError, match="kafka://HOST:PORT or redis://HOST:PORT"):
        open_broker("kafak://localhost:9092", "d")


def test_a_detector_is_split_only_where_every_entity_lies_within_the_key():
    check_shard_key(example_detector(), "customer_id", 4)
    with pytest.raises(ConfigurationError, match="entity 'merchant' is keyed by merchant_id"):
        check_shard_key(crash_worker.detector, "customer_id", 4)
    with pytest.raises(ConfigurationError, match="nothing says what they are split by"):
        check_shard_key(example_detector(), None, 4)
    with pytest.raises(ConfigurationError, match="Did you mean customer_id"):
        check_shard_key(example_detector(), "custmer_id", 4)


def test_an_entity_of_several_fields_lies_within_any_of_them():
    pair = Entity("customer_id", "amount")
    detector = Detector("pairs", event=ExamplePayment, id="transaction_id", time="timestamp", features=[pair.count("1h")])
    check_shard_key(detector, "customer_id", 2)
