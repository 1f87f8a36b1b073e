"""The page about a data set: fraud over time, every feature by outcome, decisions, and refused rows."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import streamlit as st

from penstock.lab import charts, figures
from penstock.lab.controls import Chosen, bench, choose, choose_version
from penstock.lab.source import EventSource
from penstock.outcomes import known_rate, said

TITLE, ICON, PLACE = "Data set", ":material/table_view:", 3

_MOST_ROWS = 2000
"""Rows of the table: a browser holds them easily."""


def show() -> None:
    """The page."""
    chosen = choose()
    version = choose_version(chosen, none=True)
    with st.spinner("Replaying the events: every feature, as it would have been live"):
        replayed, outcome = bench().decided(chosen.source, version), bench().outcome(chosen.source, version)
    _tiles(chosen, replayed, outcome)
    over_time, features, decisions, rows = st.tabs(["Over time", "Features", "Decisions", "Rows"])
    detector = bench().detector(chosen.source.detector)
    with over_time:
        _over_time(replayed[detector.time], outcome)
    with features:
        _features(chosen.source, version, detector.plan.features)
    with decisions:
        _decisions(replayed, outcome, scored=version is not None)
    with rows:
        _rows(replayed, outcome, chosen.source)


def _tiles(chosen: Chosen, replayed: pl.DataFrame, outcome: pl.Series) -> None:
    frauds, known = int((outcome == "fraud").sum()), int((outcome != "unknown").sum())
    recorded = bench().recorded(chosen.source)
    detector = bench().detector(chosen.source.detector)
    times = replayed[detector.time]
    tiles = st.columns(5)
    tiles[0].metric("Transactions", f"{len(replayed):,}", border=True)
    tiles[1].metric("Known frauds", f"{frauds:,}", border=True)
    tiles[2].metric("Fraud rate", figures.shown(known_rate(frauds, known)), border=True, help=said(known_rate(frauds, known)))
    tiles[3].metric("Refused rows", f"{len(recorded.refused):,}", border=True)
    tiles[4].metric("Features", f"{len(detector.plan.features):,}", border=True)
    if len(replayed):
        st.caption(f"{recorded.name}, from {minute(times.min())} to {minute(times.max())} UTC")
    if len(recorded.refused):
        with st.expander("Why rows were refused"):
            st.dataframe(recorded.refused["message"].value_counts(sort=True).head(20), hide_index=True)


def minute(time: Any) -> str:
    """An instant, to the minute."""
    return f"{time:%Y-%m-%d %H:%M}"


def _over_time(time: pl.Series, outcome: pl.Series) -> None:
    if time.is_empty():
        st.info("There is no event.")
        return
    every = figures.period(time)
    frame = figures.over_time(time, outcome, every)
    with st.container(border=True):
        st.markdown("**Fraud rate over time**")
        if frame["rate"].null_count() == len(frame):
            st.info("Nobody says which of these events were fraud: the detector declares no label, or the data has none.")
        else:
            st.altair_chart(charts.fraud_rate(frame, 280))
            st.caption("The band is where the rate lies with 95 % confidence, given how many events there were.")
    with st.container(border=True):
        st.markdown("**Transactions over time**")
        st.altair_chart(charts.volume(frame, 180))


def _features(source: EventSource, version: str | None, features: Sequence[str]) -> None:
    table = bench().summary(source, version)
    left, right = st.columns([6, 7])
    with left:
        st.caption("Those in which fraud and good differ most come first.")
        st.dataframe(table, hide_index=True, height=430, column_config=_SUMMARY)
    with right.container(border=True):
        first = table["feature"].to_list()
        named = st.selectbox("Feature", [*first, *(name for name in features if name not in first)])
        if named is None:
            return
        found = bench().distribution(source, version, named)
        if found.is_empty():
            st.info(f"{named} is missing in every event.")
            return
        st.altair_chart(charts.by_outcome(found, named, 330))
        st.caption(
            "Shares of each outcome, so that few frauds can be seen beside many good ones; the outermost bins hold the rest."
        )


def _decisions(replayed: pl.DataFrame, outcome: pl.Series, *, scored: bool) -> None:
    table = replayed.select("decision", outcome=outcome).group_by("decision", "outcome").agg(events=pl.len())
    left, right = st.columns([2, 3])
    with left:
        st.markdown("**What is decided, by what is known**")
        wide = table.pivot("outcome", index="decision", values="events").fill_null(0)
        order = charts.ranked(wide).sort("rank").drop("rank")
        st.dataframe(order.select("decision", *(name for name in figures.OUTCOMES if name in order.columns)), hide_index=True)
    with right.container(border=True):
        if not scored:
            st.info("Rules alone decide here: choose models at the side to see scores.")
            return
        st.markdown("**Scores**")
        st.altair_chart(charts.score_bins(figures.scores(replayed["score"], replayed["decision"]), figures.SCORES))


def _rows(replayed: pl.DataFrame, outcome: pl.Series, source: EventSource) -> None:
    first = replayed.columns[:2]
    frame = replayed.select(*first, outcome.alias("known outcome"), pl.exclude(first))  # a name that no feature has
    st.caption(f"The newest {min(len(frame), _MOST_ROWS):,} of {len(frame):,}.")
    st.dataframe(frame.tail(_MOST_ROWS).reverse(), hide_index=True, height=480)
    st.caption(f"The whole as a file: `penstock replay {source.detector} FILE --out replayed.parquet`")


_SUMMARY = {
    "feature": st.column_config.TextColumn("feature", width="medium"),
    "missing": st.column_config.NumberColumn("missing", format="percent"),
    "median": st.column_config.NumberColumn("median", format="%.4g"),
    "mean_good": st.column_config.NumberColumn("mean, good", format="%.4g"),
    "mean_fraud": st.column_config.NumberColumn("mean, fraud", format="%.4g"),
    "apart": st.column_config.NumberColumn("apart", format="%.2f", help="The difference of the means, in standard deviations."),
}
