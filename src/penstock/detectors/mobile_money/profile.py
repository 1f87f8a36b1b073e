"""Simulation profile of mobile money: wallets with balances, agents, merchants and mules."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from penstock.clock import to_us
from penstock.detectors.mobile_money.recorded import START
from penstock.offline.simulate import naming
from penstock.offline.simulate.books import KINDS, PAYMENT, book
from penstock.offline.simulate.chance import Numbers
from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.profile import Profile
from penstock.offline.simulate.rhythm import HOUR_US
from penstock.offline.simulate.world import World


def _columns(world: World, stretch: Payments) -> Mapping[str, pl.Series]:
    booked = book(world, stretch)
    return {
        "step": pl.Series((stretch["stamp_us"] - to_us(START)) // HOUR_US),
        "type": pl.Series(KINDS).gather(booked.kind.astype(np.uint32)),
        "amount": pl.Series(booked.amount),
        "nameOrig": _accounts(stretch["person"]),
        "oldbalanceOrg": pl.Series(booked.old),
        "newbalanceOrig": pl.Series(booked.new),
        "nameDest": _receivers(booked.kind == PAYMENT, booked.payee),
        "oldbalanceDest": pl.Series(booked.payee_old),
        "newbalanceDest": pl.Series(booked.payee_new),
        "isFlaggedFraud": pl.Series(booked.flagged.astype(np.int64)),
    }


def _accounts(account: Numbers) -> pl.Series:
    """C and ten digits, agents as well as people."""
    digits = pl.Series(naming.shuffled(account)).cast(pl.String).str.zfill(9)
    return pl.select(pl.lit("C") + pl.Series(account // 1_000_000_000 + 1).cast(pl.String) + digits).to_series()


def _receivers(is_merchant: "np.ndarray[tuple[int], np.dtype[np.bool_]]", payee: Numbers) -> pl.Series:
    merchants = pl.lit("M1") + pl.Series(naming.shuffled(payee)).cast(pl.String).str.zfill(9)
    return pl.select(pl.when(pl.Series(is_merchant)).then(merchants).otherwise(_accounts(payee))).to_series()


profile = Profile(
    name="mobile_money",
    columns=_columns,
    id="transaction_id",
    time="timestamp",
    label="isFraud",
    per_day=1.2,
    spending=(8000.0, 0.8),
    smallest=50.0,
    attacks={"cash_out_burst": 0.15, "collecting_scam": 0.25, "mule_chain": 0.25, "wallet_drain": 0.35},
    on_request={"rotating_mules": 0.25},
)
"""An account moves money six times in five days: payments of some 8,000, transfers and withdrawals about ten times that."""
