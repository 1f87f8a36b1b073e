"""Simulation profile of payments by bank customers."""

from collections.abc import Mapping

import polars as pl

from penstock.offline.simulate import naming
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.world import World


def _columns(world: World, stretch: Payments) -> Mapping[str, pl.Series]:
    return {
        "customer_id": naming.people(stretch["person"]),
        "merchant_id": naming.merchants(world, stretch["merchant"]),
        "amount": pl.Series(stretch["amount"]),
        "lat": pl.Series(stretch["lat"]),
        "long": pl.Series(stretch["long"]),
    }


profile = Profile(
    name="banking",
    columns=_columns,
    id="transaction_id",
    time="timestamp",
    per_day=1.5,
    spending=(60.0, 0.75),
    high=(1500.0, 9500.0),
    retry_share=0.06,
    split_share=0.02,
    large_first_share=0.15,
)
"""A person pays three times in two days, some 60 in one currency; thieves go for 1,500 to 9,500."""
