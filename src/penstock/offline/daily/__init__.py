"""The daily report: collected by SQL from ledger and archive (`history`), assembled (`make`), as HTML page and CSV."""

from penstock.offline.daily.day import By, DailyReport, DayFigures
from penstock.offline.daily.make import make_report
from penstock.offline.daily.page import page
from penstock.offline.daily.table import table

__all__ = ["By", "DailyReport", "DayFigures", "make_report", "page", "table"]
