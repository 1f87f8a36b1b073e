"""The page about a running service, from its API: decisions, latency, and the newest decisions."""

from collections.abc import Sequence
from datetime import datetime

import altair as alt
import polars as pl
import streamlit as st

from penstock.clock import from_us, system_clock
from penstock.lab import charts, figures
from penstock.lab.controls import guarded, service
from penstock.messages import Decision
from penstock.outcomes import known_rate, said
from penstock.service.insights.insight_schemas import SomeDecisions
from penstock.service.records.decisions import Overview, Period

TITLE, ICON, PLACE = "Live", ":material/monitoring:", 1

EVERY_S = 2.0
NEWEST = 400
"""Decisions that distributions are drawn from."""

_SAMPLES = 150
_SPANS = {"The last hour": "minutes", "The last day": "hours"}


def show() -> None:
    """The page."""
    client = service()
    names = client.detectors()
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    every = "all of them"
    chosen = left.selectbox("Detector", [every, *names] if len(names) > 1 else names)
    span = right.segmented_control("Decisions of", list(_SPANS), default="The last hour")
    st.fragment(run_every=EVERY_S)(guarded(_look))(None if chosen == every else chosen, _SPANS.get(span or "", "minutes"))
    st.caption(f"From {client.url}, asked again every {EVERY_S:g} seconds.")


def _look(detector: str | None, span: str) -> None:
    client = service()
    overview, newest = client.overview(detector), client.transactions(NEWEST, detector)
    _tiles(overview)
    periods = overview.series.minutes if span == "minutes" else overview.series.hours
    left, right = st.columns(2)
    with left.container(border=True):
        st.markdown("**Decisions over time**")
        st.altair_chart(charts.decisions_over_time(_counts(periods)))
    with right.container(border=True):
        st.markdown("**Latency, as callers see it**")
        st.altair_chart(_latency(overview, detector))
    if not newest:
        st.info("Nothing has been decided yet: send it something, as on the page *Stream*.")
        return
    frame = _frame(newest)
    left, right = st.columns(2)
    with left.container(border=True):
        st.markdown(f"**Scores of the newest {len(frame)} decisions**")
        st.altair_chart(charts.score_bins(figures.scores(frame["probability"], frame["decision"]), figures.SCORES))
    with right.container(border=True):
        st.markdown(f"**Stages of the newest {len(frame)} decisions**")
        st.altair_chart(_stages(newest))
    st.markdown("**Recent predictions**")
    st.dataframe(_shown(frame), hide_index=True, height=330, column_config=COLUMNS)


def _tiles(overview: Overview) -> None:
    latency = overview.latency_ms
    tiles = st.columns(5)
    tiles[0].metric("Transactions processed", f"{overview.total:,}", border=True)
    tiles[1].metric("A second", f"{overview.per_second:,.1f}", border=True)
    tiles[2].metric(
        "Intervention rate", share(overview.intervention_rate), border=True, help="The share that was not approved."
    )
    tiles[3].metric("Latency p50", milliseconds(latency.p50), border=True)
    tiles[4].metric("Latency p99", milliseconds(latency.p99), border=True)
    known, precision = known_rate(overview.labels.fraud, overview.labels.known), overview.labels.precision
    known_tiles = st.columns(4)
    known_tiles[0].metric("Fraud rate, of known outcomes", figures.shown(known), border=True, help=said(known))
    known_tiles[1].metric("Precision of what was not approved", figures.shown(precision), border=True, help=said(precision))
    known_tiles[2].metric("Prevented: blocked, known fraud", worth(overview.prevented, overview.currency), border=True)
    known_tiles[3].metric("Blocked, outcome unknown", worth(overview.blocked_unknown, overview.currency), border=True)


def share(value: float | None) -> str:
    """A share for people.

    >>> share(0.0123), share(None)
    ('1.23 %', '\N{EN DASH}')
    """
    return "\N{EN DASH}" if value is None else f"{value:.2%}".replace("%", " %")


def worth(some: SomeDecisions, currency: str | None) -> str:
    """Counts and amounts of some decisions.

    >>> worth(SomeDecisions(3, 1200.5), "EUR"), worth(SomeDecisions(3, None), None)
    ('3, worth 1,200.50 EUR', '3')
    """
    if some.amount is None:
        return f"{some.count:,}"
    return f"{some.count:,}, worth {some.amount:,.2f}" + (f" {currency}" if currency else "")


def milliseconds(value: float | None) -> str:
    """A latency for people.

    >>> milliseconds(1.234)
    '1.23 ms'
    """
    return "\N{EN DASH}" if value is None else f"{value:.3g} ms"


def _counts(periods: Sequence[Period]) -> pl.DataFrame:
    rows = [
        (datetime.fromisoformat(period.at), name, getattr(period, name.lower()))
        for period in periods
        for name in charts.DECISIONS
    ]
    frame = pl.DataFrame(rows, schema=["at", "decision", "events"], orient="row")
    used = (
        frame.group_by("decision")
        .agg(pl.col("events").sum())
        .filter((pl.col("events") > 0) | (pl.col("decision") == "APPROVE"))
    )
    return charts.ranked(frame.join(used.select("decision"), on="decision", how="semi"))


def _latency(overview: Overview, detector: str | None) -> charts.Drawing:
    """The percentiles at each look since the page was opened."""
    kept: list[tuple[datetime, str, float | None]] = st.session_state.setdefault(f"live.latency.{detector}", [])
    now, result = from_us(system_clock()), overview.latency_ms
    kept += [(now, "p50", result.p50), (now, "p95", result.p95), (now, "p99", result.p99)]
    del kept[: -3 * _SAMPLES]
    frame = pl.DataFrame(kept, schema={"at": pl.Datetime("us", "UTC"), "percentile": pl.String, "ms": pl.Float64}, orient="row")
    y = alt.Y("ms:Q", title="milliseconds", scale=alt.Scale(zero=True))
    return charts.lines(charts.timed(frame), charts.CLOCK, y, "percentile", names=["p50", "p95", "p99"], points=len(kept) < 10)


def _stages(newest: Sequence[Decision]) -> charts.Drawing:
    """The median of each stage's time."""
    rows = [(stage, took) for decision in newest for stage, took in decision.latency_ms.items() if stage != "total"]
    frame = pl.DataFrame(rows, schema={"stage": pl.String, "ms": pl.Float64}, orient="row")
    middle = frame.group_by("stage", maintain_order=True).agg(pl.col("ms").median())
    return (
        alt.Chart(middle)
        .mark_bar(color=charts.SEVERAL[0])
        .encode(
            x=alt.X("ms:Q", title="median, milliseconds"),
            y=alt.Y("stage:N", title=None, sort=None),
            tooltip=["stage:N", alt.Tooltip("ms:Q", format=".3~g")],
        )
        .properties(height=charts.HEIGHT)
    )


def _frame(decisions: Sequence[Decision]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "decided at": datetime.fromisoformat(decision.decided_at),
                "transaction": decision.transaction_id,
                "detector": decision.detector,
                "decision": decision.decision,
                "probability": decision.fraud_probability,
                "why": decision.explanation.reasons[0].text if decision.explanation.reasons else "",
                "ms": decision.latency_ms.get("total"),
            }
            for decision in decisions
        ],
        schema_overrides={"probability": pl.Float64, "ms": pl.Float64},
    )


def _shown(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop("detector") if frame["detector"].n_unique() == 1 else frame


COLUMNS = {
    "decided at": st.column_config.DatetimeColumn("decided at (UTC)", format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
    "probability": st.column_config.ProgressColumn("fraud probability", min_value=0.0, max_value=1.0, format="%.4f"),
    "why": st.column_config.TextColumn("why", width="large"),
    "ms": st.column_config.NumberColumn("ms", format="%.2f"),
}
