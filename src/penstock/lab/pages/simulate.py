"""The page that runs simulated transactions through an engine in memory: predictions, misses and delays."""

from typing import NamedTuple

import polars as pl
import streamlit as st

from penstock.lab import charts, figures
from penstock.lab.controls import Chosen, bench, choose_version, choose_world
from penstock.lab.play import PlayedEvent, attacks_of, play, with_truth
from penstock.lab.source import EventSource
from penstock.outcomes import known_rate, said

TITLE, ICON, PLACE = "Simulate", ":material/play_circle:", 4

LOOKS = 40
"""How often the page is drawn while a simulation runs."""

_KEY = "simulate.done"
_SHOWN = 200


class FinishedSimulation(NamedTuple):
    """A simulation that has run."""

    source: EventSource
    version: str | None
    events: list[PlayedEvent]


def show() -> None:
    """The page."""
    chosen = choose_world()
    version = choose_version(chosen, none=not bench().detector(chosen.source.detector).models)
    left, right = st.columns([1, 5], vertical_alignment="center")
    begin = left.button("Simulate", type="primary", icon=":material/play_arrow:", width="stretch")
    progress, place = right.empty(), st.empty()
    if begin:
        st.session_state[_KEY] = _run(chosen, version, progress, place)
    done: FinishedSimulation | None = st.session_state.get(_KEY)
    if done is None:
        place.info(
            "Set up a world at the side, and let its people pay: each payment is decided as a service would, and shown here."
        )
        return
    if not begin:
        _draw(done.source, done.events, place)
    if (done.source, done.version) != (chosen.source, version):
        progress.caption("This is the simulation before; what was changed at the side takes part in the next.")
    _attacks(done)


def _run(
    chosen: Chosen,
    version: str | None,
    progress: "st.delta_generator.DeltaGenerator",
    place: "st.delta_generator.DeltaGenerator",
) -> FinishedSimulation:
    """Simulate and decide, drawing now and then."""
    progress.progress(0.0, "Making a world")
    events: list[PlayedEvent] = []
    total = len(bench().recorded(chosen.source).frame)
    for portion in play(bench(), chosen.source, version, LOOKS):
        events += portion
        progress.progress(len(events) / total, f"{len(events):,} of {total:,}, until {events[-1].time:%Y-%m-%d %H:%M}")
        _draw(chosen.source, events, place)
    progress.empty()
    return FinishedSimulation(chosen.source, version, events)


def _draw(source: EventSource, events: list[PlayedEvent], place: "st.delta_generator.DeltaGenerator") -> None:
    frame = with_truth(bench(), source, events)
    with place.container():
        _tiles(frame)
        left, right = st.columns(2)
        with left.container(border=True):
            st.markdown("**Decisions over time**")
            st.altair_chart(charts.decisions_over_time(_counts(frame)))
        with right.container(border=True):
            st.markdown("**Scores**")
            st.altair_chart(charts.score_bins(figures.scores(frame["probability"], frame["decision"]), figures.SCORES))
        st.markdown(f"**The newest {_SHOWN} that were not approved, and frauds that were**")
        shown = (
            frame.filter(pl.col("stopped") | pl.col("fraud"))
            .tail(_SHOWN)
            .reverse()
            .with_columns(pl.col("attack").fill_null(""))
        )
        st.dataframe(shown.select(*_COLUMNS), hide_index=True, height=330, column_config=_COLUMNS)


def _tiles(frame: pl.DataFrame) -> None:
    fraud, stopped = frame["fraud"].fill_null(value=False), frame["stopped"]
    caught, frauds = int((fraud & stopped).sum()), int(fraud.sum())
    tiles = st.columns(5)
    tiles[0].metric("Decided", f"{len(frame):,}", border=True)
    tiles[1].metric("Frauds", f"{frauds:,}", border=True)
    rate = known_rate(caught, frauds)
    tiles[2].metric("Of these stopped", figures.shown(rate), border=True, help=said(rate))
    tiles[3].metric("Missed", f"{frauds - caught:,}", border=True)
    tiles[4].metric("False positives", f"{int((stopped & ~fraud).sum()):,}", border=True)


def _counts(frame: pl.DataFrame) -> pl.DataFrame:
    every = figures.period(frame["time"])
    counted = frame.with_columns(at=pl.col("time").dt.truncate(every)).group_by("at", "decision").agg(events=pl.len())
    return charts.ranked(counted.sort("at"))


def _attacks(done: FinishedSimulation) -> None:
    table = attacks_of(with_truth(bench(), done.source, done.events))
    if table.is_empty():
        return
    st.markdown("**What became of each kind of attack**")
    st.dataframe(table, hide_index=True, height="content", column_config=_ATTACKS)


_COLUMNS = {
    "time": st.column_config.DatetimeColumn("time (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
    "id": st.column_config.TextColumn("transaction"),
    "decision": st.column_config.TextColumn("decision"),
    "fraud": st.column_config.CheckboxColumn("fraud"),
    "attack": st.column_config.TextColumn("attack", width="small"),
    "probability": st.column_config.ProgressColumn("fraud probability", min_value=0.0, max_value=1.0, format="%.4f"),
    "amount": st.column_config.NumberColumn("amount", format="%.2f"),
    "why": st.column_config.TextColumn("why", width="large"),
}
_ATTACKS = {
    "stopped": st.column_config.NumberColumn("stopped", format="percent"),
    "value_stopped": st.column_config.NumberColumn("value stopped", format="percent"),
    "detected": st.column_config.NumberColumn("episodes detected", format="percent"),
    "median_s_to_detection": st.column_config.NumberColumn("median seconds to detection", format="%.0f"),
    "mean_frauds_before_detection": st.column_config.NumberColumn("mean frauds before", format="%.2f"),
}
