"""Rates of payment by local hour, day of the week and days since the salary.

Hours are given as shares of the busiest hour. The shape (a rise from six, a hill at noon, the peak in the early
evening, later and flatter at weekends) is the usual one of card payments; the figures are the simulator's own.
"""

import numpy as np

from penstock.offline.simulate.chance import Floats, Numbers

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

_WORKDAY = [5, 3, 2, 2, 2, 5, 14, 34, 50, 52, 55, 66, 84, 76, 62, 60, 68, 84, 98, 92, 74, 52, 30, 14]
_WEEKEND = [12, 8, 5, 3, 2, 3, 6, 14, 32, 56, 76, 88, 92, 88, 82, 78, 78, 80, 84, 80, 70, 56, 40, 24]
_BY_DAY = [0.86, 0.84, 0.87, 0.91, 1.0, 1.0, 0.80]  # Monday to Sunday
_HOURS = np.array([_WORKDAY] * 5 + [_WEEKEND] * 2, np.float64) / 100.0 * np.array(_BY_DAY)[:, None]
_WEEK = np.append(_HOURS.reshape(-1), _HOURS[0, 0])  # one appetite per hour of the week, closed to a ring

_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday
_AFTER_SALARY_DAYS = 3
_BEFORE_SALARY = 0.72


def appetite(local_us: Numbers, later_h: Floats, payday: Numbers) -> Floats:
    """How ready people are to pay, between 0 and 1.

    local_us: their wall clock as microseconds since 1970. later_h: how many hours later than others they live (night
    owls more). payday: the day of the month on which their salary comes.
    """
    hours = (local_us / HOUR_US - later_h) + _EPOCH_WEEKDAY * 24.0
    hour = np.mod(hours, 168.0)
    below = hour.astype(np.int64)
    part = hour - below
    ready: Floats = (_WEEK[below] * (1.0 - part) + _WEEK[below + 1] * part) * _purse(local_us, payday)
    return ready


def _purse(local_us: Numbers, payday: Numbers) -> Floats:
    since_salary = np.mod(day_of_month(local_us) - payday, 30)
    return np.where(since_salary < _AFTER_SALARY_DAYS, 1.0, np.where(since_salary > 24, _BEFORE_SALARY, 0.85))


def day_of_month(local_us: Numbers) -> Numbers:
    """1 to 31."""
    dates = local_us.astype("datetime64[us]")
    days: Numbers = (dates.astype("datetime64[D]") - dates.astype("datetime64[M]")).astype(np.int64)
    return days + 1
