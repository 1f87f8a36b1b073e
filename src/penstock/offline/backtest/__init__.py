"""Backtests on recorded decisions: of one rule condition, or of a whole candidate detector against the champion."""

from penstock.offline.backtest.query_source import ASKED, NotRecorded, QuerySource, condition_of
from penstock.offline.backtest.recorded import backtest
from penstock.offline.backtest.result import BacktestResult, Caught, Day, Example, Money, Truth

__all__ = [
    "ASKED",
    "BacktestResult",
    "Caught",
    "Day",
    "Example",
    "Money",
    "NotRecorded",
    "QuerySource",
    "Truth",
    "backtest",
    "condition_of",
]
