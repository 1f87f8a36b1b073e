"""The simulation profile of a detector: scale, and the columns of its events.

Each detector folder has a `profile.py` with one `Profile`. The world itself (people, merchants, rhythm, travel,
attacks) is shared; a profile scales it and names the columns of the detector's events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from penstock.offline.simulate.payments import Payments

Columns = Callable[[Any, Payments], Mapping[str, pl.Series]]
"""Makes columns from the `World`, which is made from a profile, and a stretch of payments."""


@dataclass(frozen=True)
class Profile:
    """The world of a detector: scale, habits and event columns.

    columns: makes the event's own columns of a stretch of payments, named as in the detector's event; the simulator
        adds `is_fraud` (under the name `label`), `label_known_at`, `arrived_at` and `attack`.
    id, time: names of the id and time columns.
    per_day: payments of an average person per day.
    spending: median of what people usually pay, and the sigma of its natural logarithm between people.
    habit_sigma: sigma of the logarithm of one person's payments at one kind of merchant.
    smallest: no payment is below this.
    high: what thieves who go for much take, from and to.
    online_share: payments made from where the person is to a merchant that is nowhere.
    guest_share: payments of people seen once; joining_per_day: share of the people replaced by new ones each day.
    carrier_ips: addresses that the phone company of a city hands out to all its customers.
    people_per_merchant: how many of the people one merchant lives on.
    retry_share: purchases that are tried again within seconds or minutes, at the same merchant for the same amount.
    split_share: purchases paid in two to four parts within minutes. recurring_share: payments that are due every week or
        every four weeks, with the same amount to the same merchant.
    large_first_share: guests' purchases at a shop that has just opened that are nearly as large as what thieves go for.
    splurge_share: payments several times as high as usual. strangers_sigma: how much more the logarithm of what guests
        pay varies.
    attacks: name -> share of all frauds; None takes every attack in its usual share.
    on_request: attacks that take place only where they are named -> share, in proportion to that of the others.
    """

    name: str
    columns: Columns
    id: str
    time: str
    label: str = "is_fraud"
    per_day: float = 1.5
    spending: tuple[float, float] = (60.0, 0.75)
    habit_sigma: float = 0.28
    smallest: float = 0.5
    high: tuple[float, float] = (1500.0, 9500.0)
    online_share: float = 0.3
    guest_share: float = 0.06
    joining_per_day: float = 0.004
    people_per_merchant: float = 20.0
    carrier_ips: int = 4096
    retry_share: float = 0.03
    split_share: float = 0.01
    recurring_share: float = 0.08
    large_first_share: float = 0.05
    splurge_share: float = 0.006
    strangers_sigma: float = 0.95
    attacks: Mapping[str, float] | None = None
    on_request: Mapping[str, float] = field(default_factory=dict)
