"""Backtests on recorded decisions: of one rule condition, or of a whole candidate detector against the champion."""

from penstock.offline.backtest.query_source import ASKED, NotRecorded, QuerySource, condition_of
from penstock.offline.backtest.recorded import backtest
from penstock.offline.backtest.result import Caught, Day, Example, Money, Tried, Truth

__all__ = [
    "ASKED",
    "Caught",
    "Day",
    "Example",
    "Money",
    "NotRecorded",
    "QuerySource",
    "Tried",
    "Truth",
    "backtest",
    "condition_of",
]
