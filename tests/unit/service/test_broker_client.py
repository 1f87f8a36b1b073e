"""What is decided behind a broker while a service that follows it is being opened."""

import numpy as np

from penstock.config import Settings
from penstock.messages import Action, Record
from penstock.service.decide.broker_client import BrokerClient


def test_what_is_decided_before_it_is_open_is_counted_and_shown_to_nobody():
    client = BrokerClient("mine", None, Settings())
    now = np.zeros(2, np.int64)
    actions = np.array([Action.APPROVE.value, Action.BLOCK.value])
    client.show([Record("decisions", "mine", 0, ["a", "b"], now, now, now, {"action": actions})])
    assert client.feed.count == 2
    assert client.feed.outcomes == {"APPROVE": 1, "BLOCK": 1}
    assert not client.feed.newest
