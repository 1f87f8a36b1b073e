"""What a change would have done: a condition over recorded decisions, or a whole candidate beside what decides."""

from penstock.offline.backtest.query_source import ASKED, QuerySource, NotRecorded, condition_of
from penstock.offline.backtest.recorded import backtest
from penstock.offline.backtest.result import Caught, Day, Example, Money, Tried, Truth

__all__ = [
    "ASKED",
    "QuerySource",
    "Caught",
    "Day",
    "Example",
    "Money",
    "NotRecorded",
    "Tried",
    "Truth",
    "backtest",
    "condition_of",
]
