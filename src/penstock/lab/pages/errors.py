"""The page about a model's mistakes: approved frauds and stopped good events, with reasons."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import streamlit as st

from penstock.lab import charts
from penstock.lab.controls import bench, choose, choose_since, choose_version
from penstock.lab.figures import shown
from penstock.offline.report.mistakes import MOST
from penstock.outcomes import known_rate, said

TITLE, ICON, PLACE = "Errors", ":material/bug_report:", 7


def show() -> None:
    """The page."""
    chosen = choose()
    version = choose_version(chosen)
    assert version is not None
    since_us = choose_since(chosen, [version])
    with st.spinner("Replaying the events, and looking into every mistake"):
        found = bench().mistakes(chosen.source, version, since_us)
    missed = found.counts["APPROVE"]["fraud"]
    stopped = sum(each["good"] for name, each in found.counts.items() if name != "APPROVE")
    frauds = sum(each["fraud"] for each in found.counts.values())
    goods = sum(each["good"] for each in found.counts.values())
    tiles = st.columns(4)
    tiles[0].metric("Frauds missed", f"{missed:,}", border=True, help="False negatives: approved.")
    tiles[1].metric("Of all frauds", shown(known_rate(missed, frauds)), border=True, help=said(known_rate(missed, frauds)))
    tiles[2].metric("False positives", f"{stopped:,}", border=True, help="False positives: not approved.")
    tiles[3].metric("Of all good ones", shown(known_rate(stopped, goods)), border=True, help=said(known_rate(stopped, goods)))
    _counts(found.counts)
    negatives, positives = st.tabs([f"Frauds missed ({missed:,})", f"False positives ({stopped:,})"])
    with negatives:
        _show(found.missed, "No fraud was approved.")
    with positives:
        _show(found.stopped, "No good one was stopped.")


def _counts(counts: dict[str, dict[str, int]]) -> None:
    used = {name: each for name, each in counts.items() if any(each.values())}
    frame = pl.DataFrame([{"decision": name, **each} for name, each in used.items()])
    st.dataframe(charts.ranked(frame).sort("rank").drop("rank"), hide_index=True, height="content", width=420)


def _show(mistakes: Sequence[dict[str, Any]], none: str) -> None:
    if not mistakes:
        st.success(none, icon=":material/check:")
        return
    st.caption(f"Those that cost most, the worst first; {MOST} at most." if len(mistakes) >= MOST else "The worst first.")
    for at, mistake in enumerate(mistakes):
        with st.expander(_headline(mistake), expanded=at == 0):
            _one(mistake)


def _headline(mistake: dict[str, Any]) -> str:
    time = mistake["time"][:19].replace("T", " ")
    worth = "" if mistake["amount"] is None else f"{mistake['amount']:,.2f}, "
    return f"{worth}score {mistake['score']:.3f}, {mistake['decision'].lower()}: {mistake['id']} at {time}"


def _one(mistake: dict[str, Any]) -> None:
    left, middle, right = st.columns([2, 2, 1.6])
    left.markdown("**Spoke for fraud**")
    left.markdown(_listed(mistake["for"]))
    middle.markdown("**Spoke against it**")
    middle.markdown(_listed(mistake["against"]))
    if mistake["rules"]:
        middle.markdown("**Rules that fired:** " + ", ".join(f"`{name}`" for name in mistake["rules"]))
    with right:
        st.markdown("**The event**")
        members = {f"score of {name}": f"{score:.4f}" for name, score in mistake["members"].items()}
        shown = {**{name: str(value) for name, value in mistake["event"].items()}, **members}
        st.dataframe({"field": list(shown), "value": list(shown.values())}, hide_index=True, height="content")


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {plain(sentence)}" for sentence in sentences) or "nothing"


def plain(text: str) -> str:
    r"""A text from outside that stays text among Markdown.

    >>> plain("*a* [b](c)")
    '\\*a\\* \\[b\\]\\(c\\)'
    """
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]()#+!|<>~$:" else letter for letter in text)
