"""The report of a day: what was decided (`make`), by SQL over ledger and archive (`history`), as a page and a table."""

from penstock.offline.daily.day import By, Day, Report
from penstock.offline.daily.make import make_report
from penstock.offline.daily.page import page
from penstock.offline.daily.table import table

__all__ = ["By", "Day", "Report", "make_report", "page", "table"]
