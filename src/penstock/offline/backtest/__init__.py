"""What a change would have done: a condition over recorded decisions, or a whole candidate beside what decides."""

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
