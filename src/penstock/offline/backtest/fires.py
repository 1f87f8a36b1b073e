"""Firing statistics of rules from recorded decisions, by SQL: how often each fired, and when last."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from penstock.offline.backtest.query_source import QuerySource, view_of
from penstock.offline.sql_templates import quoted, text


class Fires(msgspec.Struct, frozen=True):
    """How often a rule's condition was true within some days, and when last; event times."""

    count: int
    last: datetime | None


def fires(archive: QuerySource, detector: str, days: float, *, now_us: int) -> Mapping[str, Fires]:
    """Firing statistics of every recorded rule, by column name: `rule_NAME` where it acted, `watch_NAME` where it would have.

    days: counted back from the newest decision. now_us: events with later time stamps are left out.

    Raises:
        DataError: the archive does not answer in time.
    """
    table = view_of(detector)
    named = archive.query(f"SELECT column_name FROM duckdb_columns() WHERE table_name = {text(table)}")  # noqa: S608 -- quoted
    columns = [name for name in named["column_name"].to_list() if name.startswith(("rule_", "watch_"))]
    if not columns:
        return {}
    mine = f"detector = {text(detector)} AND event_time <= make_timestamptz({now_us})"
    newest = archive.query(f"SELECT max(event_time) AS t FROM {quoted(table)} WHERE {mine}")["t"].item()  # noqa: S608 -- quoted
    if newest is None:
        return {}
    since = text((newest - timedelta(days=days)).isoformat())
    asked = ", ".join(
        f"count(*) FILTER (WHERE {quoted(name)}) AS n{k}, max(event_time) FILTER (WHERE {quoted(name)}) AS t{k}"
        for k, name in enumerate(columns)
    )
    row = archive.query(
        f"SELECT {asked} FROM {quoted(table)} WHERE {mine} AND event_time > TIMESTAMPTZ {since}"  # noqa: S608 -- quoted
    ).row(0, named=True)
    return {name: Fires(int(row[f"n{k}"]), row[f"t{k}"]) for k, name in enumerate(columns)}
