"""Pages through several tables: every row once, whatever its time, and the newest first where a table keeps that order."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from penstock.service.records.pagination import MergedCursor


@dataclass(frozen=True)
class Row:
    table: int
    id: int
    at_us: int


def fetch(table, most, below):
    return [row for row in reversed(table) if below is None or row.id < below][:most]


def pages(tables, limit):
    """Page after page, each with the cursor of the one before; each is filled as a page of refused events is."""
    cursor, found = None, []
    while True:
        places = MergedCursor(tables, cursor)
        page = []
        while len(page) < limit and (rows := places.next(fetch, lambda row: row.at_us, limit - len(page))):
            page += rows
        found.append(page)
        cursor = places.following(fetch)
        if cursor is None:
            return found


@given(st.lists(st.lists(st.integers(0, 9), max_size=8), min_size=1, max_size=3), st.integers(1, 10))
def test_rows_that_came_later_though_they_are_older_are_there_once(times, limit):
    tables = [[Row(number, at + 1, us) for at, us in enumerate(each)] for number, each in enumerate(times)]
    found = pages(tables, limit)
    rows = [row for page in found for row in page]
    assert sorted(rows, key=lambda row: (row.table, row.id)) == [row for table in tables for row in table]
    assert all(len(page) == limit for page in found[:-1])


@given(st.lists(st.lists(st.integers(0, 9), max_size=8).map(sorted), min_size=1, max_size=3), st.integers(1, 10))
def test_tables_in_order_of_time_make_one_list_in_that_order(times, limit):
    tables = [[Row(number, at + 1, us) for at, us in enumerate(each)] for number, each in enumerate(times)]
    shown = [row.at_us for page in pages(tables, limit) for row in page]
    assert shown == sorted((us for each in times for us in each), reverse=True)
