"""Charts of the pages, and the meaning of their colours."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import polars as pl

DECISIONS = {"APPROVE": "#2f9e6e", "CHALLENGE": "#7c5fd3", "REVIEW": "#c07a12", "BLOCK": "#d6404a"}
OUTCOMES = {"fraud": "#d6404a", "good": "#2f7f9e", "unknown": "#94a3a0"}
SEVERAL = ("#0f8277", "#c05621", "#5b5fc7", "#b3398f", "#6b7f2a", "#2f7f9e")

HEIGHT = 270

TIME = alt.X("at:T", title="UTC", scale=alt.Scale(type="utc"), axis=alt.Axis(grid=False))
CLOCK = alt.X("at:T", title="UTC", scale=alt.Scale(type="utc"), axis=alt.Axis(grid=False, format="%H:%M:%S", tickCount=5))
_WHEN = alt.Tooltip("when:N", title="UTC")
_LEGEND = alt.Legend(orient="top", symbolType="square", padding=0, offset=6)
LINES = alt.Legend(orient="top", symbolType="stroke", symbolStrokeWidth=3, padding=0, offset=6)
_PERCENT = alt.Axis(format="~%")
NAMES = alt.Legend(orient="bottom", direction="vertical", symbolType="stroke", symbolStrokeWidth=3, labelLimit=300, padding=0)
"""For names too long to stand side by side."""

Drawing = Any
"""A chart; what Altair's methods return is not typed."""


def scale(colours: Mapping[str, str], there: Sequence[str]) -> alt.Scale:
    """The colours of those that are there, always in the same order."""
    names = [name for name in colours if name in there]
    return alt.Scale(domain=names, range=[colours[name] for name in names])


def several(names: Sequence[str]) -> alt.Scale:
    """A colour for each name."""
    return alt.Scale(domain=list(names), range=[SEVERAL[at % len(SEVERAL)] for at in range(len(names))])


def decisions_over_time(frame: pl.DataFrame, height: int = HEIGHT) -> Drawing:
    """Stacked bars of `events` by `at` and `decision`, each as wide as its period."""
    there = frame["decision"].unique().to_list()
    colour = alt.Color("decision:N", scale=scale(DECISIONS, there), title=None, legend=_LEGEND)
    tooltip = [_WHEN, "decision:N", alt.Tooltip("events:Q", format=",")]
    return _bars(stacked(ranked(frame)), height).encode(color=colour, tooltip=tooltip)


def ranked(frame: pl.DataFrame) -> pl.DataFrame:
    """With `rank`: decisions stack from the weakest to the strictest."""
    order = {name: at for at, name in enumerate(DECISIONS)}
    return frame.with_columns(rank=pl.col("decision").replace_strict(order, default=len(order), return_dtype=pl.Int64))


def score_bins(frame: pl.DataFrame, bins: Sequence[str], height: int = HEIGHT) -> Drawing:
    """Bars of `events` by bin of `score` and `decision`. They stand side by side: a root scale, on which few can be seen beside
    many, has no sums.
    """
    there = frame["decision"].unique().to_list()
    return (
        _chart(ranked(frame), height)
        .mark_bar()
        .encode(
            x=alt.X(
                "score:N", title="fraud probability, from", scale=alt.Scale(domain=list(bins)), axis=alt.Axis(labelAngle=-45)
            ),
            xOffset=alt.XOffset("rank:O"),
            y=alt.Y("events:Q", title="transactions (root scale)", scale=alt.Scale(type="sqrt"), stack=None),
            color=alt.Color("decision:N", scale=scale(DECISIONS, there), title=None, legend=_LEGEND),
            tooltip=["score:N", "decision:N", alt.Tooltip("events:Q", format=",")],
        )
    )


def fraud_rate(frame: pl.DataFrame, height: int = HEIGHT) -> Drawing:
    """The line of `rate` by `at`, within the band from `low` to `high`."""
    base = _chart(timed(frame), height).encode(x=TIME)
    band = base.mark_area(opacity=0.18, color=OUTCOMES["fraud"]).encode(
        y=alt.Y("low:Q", title="fraud rate", axis=_PERCENT), y2="high:Q"
    )
    line = base.mark_line(point=alt.OverlayMarkDef(color=OUTCOMES["fraud"], size=30), color=OUTCOMES["fraud"]).encode(
        y="rate:Q",
        tooltip=[
            _WHEN,
            alt.Tooltip("rate:Q", format=".3%"),
            alt.Tooltip("frauds:Q", format=","),
            alt.Tooltip("events:Q", format=","),
        ],
    )
    return alt.layer(band, line)


def volume(frame: pl.DataFrame, height: int = HEIGHT) -> Drawing:
    """Bars of `events` by `at`."""
    bars = _bars(frame.with_columns(low=0, high="events"), height)
    return bars.encode(color=alt.value(OUTCOMES["good"]), tooltip=[_WHEN, alt.Tooltip("events:Q", format=",")])


def stacked(frame: pl.DataFrame) -> pl.DataFrame:
    """With `low` and `high`, between which each bar lies when those of one instant stand on one another by `rank`.

    >>> stacked(pl.DataFrame({"at": [1, 1], "rank": [1, 0], "events": [2, 5]})).select("rank", "low", "high").rows()
    [(0, 0, 5), (1, 5, 7)]
    """
    high = pl.col("events").cast(pl.Int64).cum_sum().over("at")
    return frame.sort("at", "rank").with_columns(high=high, low=high - pl.col("events").cast(pl.Int64))


def _bars(frame: pl.DataFrame, height: int) -> Drawing:
    """Bars from `low` to `high`. Their sums are computed here: the charts stack no bars that have a width in time."""
    y = alt.Y("low:Q", title="transactions")
    return _chart(_until(frame), height).mark_rect().encode(x=TIME, x2="until:T", y=y, y2="high:Q")


def by_outcome(frame: pl.DataFrame, title: str, height: int = HEIGHT) -> Drawing:
    """Shares by outcome: overlaid steps where the frame has bins, bars side by side where it has values."""
    there = frame["outcome"].unique().to_list()
    colour = alt.Color("outcome:N", scale=scale(OUTCOMES, there), title=None, legend=_LEGEND)
    share = alt.Y("share:Q", title="share of its outcome", axis=_PERCENT, stack=None)
    tooltip = ["outcome:N", alt.Tooltip("share:Q", format=".2%"), alt.Tooltip("events:Q", format=",")]
    if "value" in frame.columns:
        return (
            _chart(frame, height)
            .mark_bar()
            .encode(
                x=alt.X(
                    "value:N",
                    title=title,
                    sort="-y",
                    axis=alt.Axis(labelAngle=-40 if frame["value"].n_unique() > 3 else 0, labelOverlap=False),
                ),
                xOffset="outcome:N",
                y=share,
                color=colour,
                tooltip=["value:N", *tooltip],
            )
        )
    return (
        _chart(frame, height)
        .mark_bar(opacity=0.55)
        .encode(
            x=alt.X("from:Q", title=title, bin="binned"), x2="to:Q", y=share, color=colour, tooltip=["from:Q", "to:Q", *tooltip]
        )
    )


def lines(
    frame: pl.DataFrame,
    x: Any,
    y: Any,
    name: str,
    *,
    names: Sequence[str],
    points: bool = False,
    legend: alt.Legend | None = LINES,
    height: int = HEIGHT,
) -> Drawing:
    """A line of y over x for each value of the column `name`."""
    colour = alt.Color(f"{name}:N", scale=several(names), title=None, legend=legend)
    tooltip = [_WHEN if field is TIME or field is CLOCK else alt.Tooltip(field.shorthand, format=".4~g") for field in (x, y)]
    return (
        _chart(frame, height)
        .mark_line(point=points)
        .encode(x=x, y=y, color=colour, order=x.shorthand, tooltip=[f"{name}:N", *tooltip])
    )


def upright(at: float, title: str) -> Drawing:
    """A named upright line, to lay over a chart."""
    mark = alt.Chart(pl.DataFrame({"x": [at], "title": [title]}))
    return alt.layer(
        mark.mark_rule(strokeDash=[4, 3], color="#8a9996").encode(x="x:Q"),
        mark.mark_text(align="left", dx=4, y=8, color="#8a9996").encode(x="x:Q", text="title:N"),
    )


def diagonal() -> Drawing:
    """The line of perfect calibration."""
    ends = alt.Chart(pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]}))
    return ends.mark_line(strokeDash=[4, 3], color="#8a9996").encode(x="x:Q", y="y:Q")


def _until(frame: pl.DataFrame) -> pl.DataFrame:
    """With `until`, where the period that begins `at` ends, and a little room between bars."""
    gaps = frame["at"].unique().sort().diff().drop_nulls().cast(pl.Int64)
    length_us = int(gaps.min()) if len(gaps) else 3_600_000_000  # type: ignore[arg-type]  # a number where there are any
    return timed(frame.with_columns(until=pl.col("at") + pl.duration(microseconds=length_us * 0.85)))


def timed(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `when`, the instant `at` as UTC text, because the browser would show its own time zone."""
    return frame.with_columns(when=pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S"))


def _chart(frame: pl.DataFrame, height: int) -> Drawing:
    return alt.Chart(frame).properties(height=height)
