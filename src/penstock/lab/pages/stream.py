"""The page that replays transactions through the service: started by `POST /stream`, watched by `GET /get`."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import msgspec
import polars as pl
import streamlit as st

from penstock.decoding import prepared
from penstock.lab import charts
from penstock.lab.api import Result, ServiceClient
from penstock.lab.controls import guarded, service
from penstock.messages import Decision
from penstock.service.live.replay_jobs import StreamRequest

TITLE, ICON, PLACE = "Stream", ":material/stream:", 2

EVERY_S = 1.0
AT_ONCE = 1000
"""The most that `GET /get` answers."""

_BY_ID = 40
"""Results that are asked for one by one at a look: those that others have pushed out of the newest."""

_CALLED = {0: "not fraud", 1: "fraud"}


class Watched(msgspec.Struct):
    """A replay that is watched. results: by transaction, as far as they are there."""

    detector: str
    source: str
    ids: list[str]
    results: dict[str, dict[str, Any]] = {}

    @property
    def missing(self) -> list[str]:
        """Those without a result, in their order."""
        return [name for name in self.ids if name not in self.results]


def show() -> None:
    """The page."""
    client = service()
    names = client.detectors()
    with st.form("stream", border=True):
        columns = st.columns([2, 2, 1, 1, 1], vertical_alignment="bottom")
        detector = columns[0].selectbox("Detector", names)
        source = columns[1].text_input(
            "Source", "simulator", help="`simulator`, or a recorded file by its name in the service's setting `replays`."
        )
        count = columns[2].number_input("Transactions", 1, AT_ONCE, 200)
        tps = columns[3].number_input("A second", 0.0, 10_000.0, 50.0, help="0: as fast as they are decided.")
        if columns[4].form_submit_button("Start", type="primary", icon=":material/play_arrow:", width="stretch"):
            st.session_state["stream.watched"] = _started(client, StreamRequest(detector, source, int(count), tps or None))
    watched: Watched | None = st.session_state.get("stream.watched")
    if watched is None:
        st.info(
            "Start a stream: its transactions go through the running service in the background, and their results come in here."
        )
        return
    st.fragment(run_every=EVERY_S if watched.missing else None)(guarded(_look))(watched)


def _started(client: ServiceClient, wish: StreamRequest) -> Watched:
    answer = client.stream(wish)
    return Watched(answer.detector, answer.source, answer.transaction_ids)


def _look(watched: Watched) -> None:
    """Show what is there; where it was the last look, have the page no longer ask."""
    options_of_lab = bool(watched.missing)
    if options_of_lab:
        refresh(service(), watched)
    there = [watched.results[name] for name in watched.ids if name in watched.results]
    flagged = sum(row["predicted_class"] for row in there)
    st.progress(
        len(there) / max(len(watched.ids), 1),
        f"{len(there):,} of {len(watched.ids):,} decided by {watched.detector}, from {watched.source}",
    )
    tiles = st.columns(4)
    tiles[0].metric("Decided", f"{len(there):,}", border=True)
    tiles[1].metric("Taken for fraud", f"{flagged:,}", border=True)
    tiles[2].metric("Fraud detection rate", f"{flagged / len(there):.2%}" if there else "\N{EN DASH}", border=True)
    tiles[3].metric("Still to come", f"{len(watched.missing):,}", border=True)
    if there:
        _results(there)
    if options_of_lab and not watched.missing:
        st.rerun()


def refresh(client: ServiceClient, watched: Watched) -> None:
    """Take in the results that have come, from the newest and, for those that are no longer among them, one by one."""
    for row in client.results(AT_ONCE, watched.detector):
        result = msgspec.convert(row, prepared(Result))
        if result.transaction_id in wanted(watched):
            watched.results[result.transaction_id] = row
    for name in overtaken(watched)[:_BY_ID]:
        decision = client.transaction(name)
        if decision is not None:
            watched.results[name] = as_result(decision)


def wanted(watched: Watched) -> set[str]:
    """Its transactions."""
    return set(watched.ids)


def overtaken(watched: Watched) -> list[str]:
    """Transactions without a result although a later one has one: decided in order, they must have one, too.

    >>> overtaken(Watched("d", "simulator", ["a", "b", "c"], {"b": {}}))
    ['a']
    """
    last = max((at for at, name in enumerate(watched.ids) if name in watched.results), default=0)
    return [name for name in watched.ids[:last] if name not in watched.results]


def as_result(decision: Decision) -> dict[str, Any]:
    """A decision as a row of `GET /get`."""
    said = {"predicted_class": decision.predicted_class, "fraud_probability": decision.fraud_probability}
    return {"transaction_id": decision.transaction_id, **decision.features, **said}


def _results(there: Sequence[dict[str, Any]]) -> None:
    frame = pl.DataFrame(there, infer_schema_length=None).with_row_index("number", offset=1)
    frame = frame.with_columns(called=pl.col("predicted_class").replace_strict(_CALLED, return_dtype=pl.String))
    with st.container(border=True):
        st.markdown("**Fraud probability, in the order of the stream**")
        st.altair_chart(_dots(frame.select("number", "transaction_id", "fraud_probability", "called")))
    last = ["number", "transaction_id", "called", "fraud_probability"]
    features = [name for name in frame.columns if name not in (*last, "predicted_class")]
    st.markdown("**Results, the newest first**")
    st.dataframe(frame.select(*last, *features).reverse(), hide_index=True, height=360, column_config=_COLUMNS)


def _dots(frame: pl.DataFrame) -> charts.Drawing:
    names = [name for name in _CALLED.values() if name in frame["called"]]
    colours = {"not fraud": charts.OUTCOMES["good"], "fraud": charts.OUTCOMES["fraud"]}
    shapes = {"not fraud": "circle", "fraud": "triangle-up"}
    return (
        alt.Chart(frame)
        .mark_point(filled=True, size=45, opacity=0.75)
        .encode(
            x=alt.X("number:Q", title=None),
            y=alt.Y("fraud_probability:Q", title="probability", scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("called:N", scale=charts.scale(colours, names), title=None),
            shape=alt.Shape("called:N", scale=alt.Scale(domain=names, range=[shapes[name] for name in names]), title=None),
            tooltip=["transaction_id:N", alt.Tooltip("fraud_probability:Q", format=".4f"), "called:N"],
        )
        .properties(height=charts.HEIGHT)
    )


_COLUMNS = {
    "called": st.column_config.TextColumn("taken for"),
    "fraud_probability": st.column_config.ProgressColumn("fraud probability", min_value=0.0, max_value=1.0, format="%.4f"),
}
