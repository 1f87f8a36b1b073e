"""The page that compares model versions on the same events: figures, curves, calibration and disagreements."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import polars as pl
import streamlit as st
from numpy.typing import NDArray

from penstock.errors import ConfigurationError
from penstock.lab import charts
from penstock.lab.bench import LabelledEvents
from penstock.lab.controls import KEPT, Chosen, bench, choose, choose_since, named, no_models
from penstock.offline.measure import figures_of, in_force
from penstock.offline.report import curves

TITLE, ICON, PLACE = "Compare models", ":material/compare_arrows:", 6

Scores = Mapping[str, NDArray[np.float64]]

_LOWER_IS_BETTER = frozenset({"brier", "ece"})
_AT_ONCE = 4


def show() -> None:
    """The page."""
    chosen = choose()
    if not chosen.versions:
        raise ConfigurationError(no_models(chosen))
    versions = _versions(chosen)
    if not versions:
        st.info("Choose a version at the side.")
        return
    since_us = choose_since(chosen, versions)
    with st.spinner("Replaying the events, once for each version"):
        judged = {version: bench().judged(chosen.source, version, since_us) for version in versions}
    members = st.sidebar.toggle("Also their members", value=len(versions) == 1)
    scores = _scores(judged, members=members)
    first = judged[versions[0]]
    st.caption(f"{len(first.rows):,} events of known outcome, {first.rows.frauds:,} of them fraud.")
    _figures(chosen, judged, scores)
    _curves(scores, first.rows.fraud)
    if len(versions) > 1:
        _agreement(judged, versions[0], versions[1])


def _versions(chosen: Chosen) -> list[str]:
    names = {entry.version: named(entry) for entry in chosen.versions}
    with st.sidebar:
        return st.multiselect(
            "Versions",
            list(names),
            list(names)[:_AT_ONCE],
            format_func=lambda version: names.get(version, version),
            max_selections=_AT_ONCE,
            key=f"{KEPT}versions.{chosen.source.detector}",
        )


def _scores(judged: Mapping[str, LabelledEvents], *, members: bool) -> dict[str, NDArray[np.float64]]:
    """A column of scores for each version, and where they are wanted for its members."""
    found: dict[str, NDArray[np.float64]] = {}
    for version, each in judged.items():
        found[version] = each.score
        if members and len(each.members) > 1:
            found |= {f"{version} {name}": score for name, score in each.members.items()}
    return found


def _figures(chosen: Chosen, judged: Mapping[str, LabelledEvents], scores: Scores) -> None:
    detector = bench().detector(chosen.source.detector)
    table: dict[str, list[float | None]] = {}
    names: list[str] = []
    for name, score in scores.items():
        version = name.partition(" ")[0]
        at = in_force(detector, bench().ensemble(chosen.source.detector, version))["review_at"]
        found = figures_of(score, judged[version].rows, at)
        names, table[name] = list(found), list(found.values())
    frame = pl.DataFrame({"figure": [name.replace("_", " ") for name in names], **table, "best": _best(names, table)})
    columns = {name: st.column_config.NumberColumn(name, format="%.4f") for name in table}
    shown = frame if len(table) > 1 else frame.drop("best")
    st.dataframe(shown, hide_index=True, column_config=columns, height="content")
    st.caption(
        "Precision, recall, F1 and the value of fraud stopped are taken where each would have its decisions reviewed from."
    )


def _best(names: list[str], table: Mapping[str, list[float | None]]) -> list[str]:
    """Which column is best at each figure; empty where they are equal, or nothing is known."""
    found = []
    for at, name in enumerate(names):
        known = {column: value for column, values in table.items() if (value := values[at]) is not None}
        sign = -1.0 if name in _LOWER_IS_BETTER else 1.0
        ordered = sorted(known.items(), key=lambda pair: -sign * pair[1])
        tied = len(ordered) < 2 or ordered[0][1] == ordered[1][1]
        found.append("" if tied else ordered[0][0])
    return found


def _curves(scores: Scores, fraud: NDArray[np.float64]) -> None:
    if not 0 < fraud.sum() < len(fraud):
        st.info("Curves need both, frauds and good ones.")
        return
    left, middle, right = st.columns(3)
    names = list(scores)
    share = alt.Scale(domain=[0, 1])
    percent = alt.Axis(format="~%")
    with left.container(border=True):
        st.markdown("**Precision and recall**")
        found = {name: curves.precision_recall(score, fraud) for name, score in scores.items()}
        x, y = alt.X("recall:Q", scale=share, axis=percent), alt.Y("precision:Q", scale=share, axis=percent)
        st.altair_chart(
            charts.lines(
                _stacked({k: v._asdict() for k, v in found.items()}),
                x,
                y,
                "model",
                names=names,
                legend=charts.NAMES,
                height=340,
            )
        )
    with middle.container(border=True):
        st.markdown("**Frauds found, by good ones flagged**")
        roc = {name: curves.roc(score, fraud) for name, score in scores.items()}
        x = alt.X("fpr:Q", title="good ones flagged (root scale)", scale=alt.Scale(type="sqrt"), axis=percent)
        y = alt.Y("recall:Q", title="frauds found", scale=share, axis=percent)
        st.altair_chart(
            charts.lines(
                _stacked({k: v._asdict() for k, v in roc.items()}), x, y, "model", names=names, legend=charts.NAMES, height=340
            )
        )
    with right.container(border=True):
        st.markdown("**Calibration**")
        curves_of = {name: _columns(curves.reliability(score, fraud)) for name, score in scores.items()}
        x = alt.X("said:Q", title="said (root scale)", scale=alt.Scale(type="sqrt", domain=[0, 1]), axis=percent)
        y = alt.Y("true:Q", title="true (root scale)", scale=alt.Scale(type="sqrt", domain=[0, 1]), axis=percent)
        st.altair_chart(
            charts.diagonal()
            + charts.lines(_stacked(curves_of), x, y, "model", names=names, points=True, legend=charts.NAMES, height=340)
        )


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    return {name: [row[name] for row in rows] for name in ("said", "true")}


def _stacked(found: Mapping[str, Mapping[str, list[float]]]) -> pl.DataFrame:
    """Columns by model, one below the other, with the `model` that each row belongs to."""
    return pl.concat([pl.DataFrame(each).with_columns(model=pl.lit(name)) for name, each in found.items()])


def _agreement(judged: Mapping[str, LabelledEvents], first: str, second: str) -> None:
    st.markdown(f"**Where {first} and {second} decide otherwise**, rules and thresholds included")
    pair = pl.DataFrame(
        {
            first: judged[first].said["decision"],
            second: judged[second].said["decision"],
            "fraud": judged[first].rows.fraud,
        }
    )
    apart = pair.filter(pl.col(first) != pl.col(second))
    if apart.is_empty():
        st.info(f"They decide every one of the {len(pair):,} events the same.")
        return
    counted = apart.group_by(first, second).agg(events=pl.len(), frauds=pl.col("fraud").sum().cast(pl.Int64))
    st.dataframe(counted.sort("events", descending=True), hide_index=True, height="content")
    st.caption(f"{len(apart):,} of {len(pair):,} events.")
