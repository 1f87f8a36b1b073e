"""The page for choosing thresholds, with their effect on money, precision, recall and reviews."""

from collections.abc import Mapping
from typing import Literal

import altair as alt
import polars as pl
import streamlit as st

from penstock.lab import charts
from penstock.lab.bench import LabelledEvents
from penstock.lab.controls import bench, choose, choose_since, choose_version
from penstock.offline import thresholds
from penstock.offline.measure import in_force
from penstock.offline.thresholds import ByCapacity, ByCost, ByRate, Choice
from penstock.outcomes import said

TITLE, ICON, PLACE = "Thresholds", ":material/tune:", 5

_LOWEST = 0.0001
_STEP = 0.0001
Figures = Mapping[str, float | None]


def show() -> None:
    """The page."""
    chosen = choose()
    version = choose_version(chosen)
    assert version is not None
    with st.spinner("Replaying the events, and scoring them"):
        judged = bench().judged(chosen.source, version, choose_since(chosen, [version]))
    declared = in_force(bench().detector(chosen.source.detector), bench().ensemble(chosen.source.detector, version))
    costs = _costs()
    key = f"thresholds.{chosen.source.detector}.{version}"
    _choosing(key, judged, costs, declared)
    wanted = _sliders(key, declared)
    _figures(thresholds.outcome(judged.scored, wanted, costs), thresholds.outcome(judged.scored, declared, costs))
    known = thresholds.rates(judged.scored, wanted)
    st.caption(
        "With Wilson's 95 % interval: " + "; ".join(f"{name.replace('_', ' ')} {said(rate)}" for name, rate in known.items())
    )
    _curves(judged, wanted, costs)
    st.caption(
        "About scores alone: rules, which decide beside them, stay as they are. To decide by these:"
        f" `penstock models thresholds {version} --review-at {wanted['review_at']:.4f} --block-at {wanted['block_at']:.4f}`"
    )


def _costs() -> ByCost:
    with st.sidebar.expander("What mistakes cost"):
        usual = ByCost()
        return ByCost(
            review=st.number_input("A review", 0.0, None, usual.review),
            annoyance=st.number_input("A good customer who is blocked", 0.0, None, usual.annoyance),
            loss=st.number_input("A fraud, times its amount", 0.0, None, usual.loss),
            found=st.slider("Frauds that a review finds", 0.05, 1.0, usual.found),
        )


def _choosing(key: str, judged: LabelledEvents, costs: ByCost, declared: Mapping[str, float]) -> None:
    """Buttons that set the sliders; they stand before these, which cannot be set once they are drawn."""
    columns = st.columns([1.2, 1.4, 1.4, 1.4, 2.6], vertical_alignment="bottom")
    reviews = columns[4].number_input("Reviews a day that people can do", 1.0, None, 50.0)
    ways: dict[str, Choice] = {
        "Least cost": costs,
        "By capacity": ByCapacity(reviews_per_day=reviews),
        "1 % of the good ones": ByRate(),
    }
    if columns[0].button("Reset to current", width="stretch"):
        _set(key, declared)
    for column, (name, choice) in zip(columns[1:4], ways.items(), strict=True):
        if column.button(name, width="stretch"):
            _set(key, thresholds.choose(choice, judged.scored))


def _set(key: str, found: Mapping[str, float]) -> None:
    for name, value in found.items():
        st.session_state[f"{key}.{name}"] = min(max(round(value, 4), _LOWEST), 1.0)


def _sliders(key: str, declared: Mapping[str, float]) -> dict[str, float]:
    for name in ("review_at", "block_at"):
        st.session_state.setdefault(f"{key}.{name}", min(max(round(declared[name], 4), _LOWEST), 1.0))
    left, right = st.columns(2)
    review = left.slider("Review from", _LOWEST, 1.0, step=_STEP, format="%.4f", key=f"{key}.review_at")
    block = right.slider("Block from", _LOWEST, 1.0, step=_STEP, format="%.4f", key=f"{key}.block_at")
    return {"review_at": min(review, block), "block_at": block}


def _figures(now: Figures, before: Figures) -> None:
    st.caption("Beside what is in force now.")
    for names in (list(TILES)[:4], list(TILES)[4:]):
        for column, name in zip(st.columns(4), names, strict=True):
            title, form, better, help_ = TILES[name]
            value, other = now[name], before[name]
            shown = "\N{EN DASH}" if value is None else form.format(value)
            if value is None or other is None or _same(value, other):
                column.metric(title, shown, "as now", delta_color="off", delta_arrow="off", border=True, help=help_)
            else:
                change = form.replace(":", ":+").format(value - other)
                column.metric(title, shown, change, delta_color=better, border=True, help=help_)


def _same(value: float, other: float) -> bool:
    return abs(value - other) <= 1e-9 * max(abs(value), abs(other))


TILES: dict[str, tuple[str, str, Literal["normal", "inverse"], str | None]] = {
    "saved": (
        "Money saved",
        "{:,.0f}",
        "normal",
        "Of known outcomes, beside approving everything, costs taken off.",
    ),
    "precision": ("Precision", "{:.2%}", "normal", "The share of fraud among what is reviewed or blocked."),
    "recall": ("Recall", "{:.2%}", "normal", "The share of frauds that are reviewed or blocked."),
    "reviews_per_day": ("Reviews a day", "{:,.1f}", "inverse", None),
    "cost": ("Cost", "{:,.0f}", "inverse", "Of frauds approved, of reviews, and of good customers blocked."),
    "value_detection_rate": ("Value of fraud stopped", "{:.2%}", "normal", None),
    "false_positive_rate": ("False positive rate", "{:.3%}", "inverse", "The share of good ones that are reviewed or blocked."),
    "blocked_per_day": ("Blocked a day", "{:,.1f}", "inverse", None),
}


def _curves(judged: LabelledEvents, wanted: Mapping[str, float], costs: ByCost) -> None:
    frame = pl.DataFrame(thresholds.curve(judged.scored, wanted, costs)).filter(pl.col("review_at") > 0)
    x = alt.X(
        "review_at:Q",
        title="review from (log scale)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(grid=False, format="~g", tickCount=5),
    )
    here = charts.upright(wanted["review_at"], "now")
    left, middle, right = st.columns(3)
    shares = frame.unpivot(["precision", "recall"], index="review_at", variable_name="figure", value_name="share")
    with left.container(border=True):
        st.markdown("**Precision and recall**")
        y = alt.Y("share:Q", title=None, axis=alt.Axis(format="~%"), scale=alt.Scale(domain=[0, 1]))
        st.altair_chart(charts.lines(shares.drop_nulls(), x, y, "figure", names=["precision", "recall"]) + here)
    for column, name, title in ((middle, "saved", "Money saved"), (right, "reviews_per_day", "Reviews a day")):
        with column.container(border=True):
            st.markdown(f"**{title}**")
            drawn = frame.select("review_at", name, figure=pl.lit(title)).drop_nulls()
            st.altair_chart(charts.lines(drawn, x, alt.Y(f"{name}:Q", title=None), "figure", names=[title], legend=None) + here)
