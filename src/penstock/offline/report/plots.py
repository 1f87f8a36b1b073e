"""Charts of the training report: SVG text, readable on light and dark, without external resources.

Axes and words take the colour of the text around them (`currentColor`), lines have colours that can be told apart on
both grounds and by people who do not see all of them (Okabe and Ito, "Color universal design", 2008).
"""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from penstock.extras import require
from penstock.offline.report.findings import Findings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Shown = TypeVar("Shown")

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999933", "#999999")
"""The ensemble's first, then the members'."""

_INK = "#010203"
"""Stands for currentColor until the picture is text: matplotlib knows no such colour."""

_SPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.12,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}

SHOWN = 20
"""Features whose importance is shown."""


def plots(findings: Findings) -> dict[str, str]:
    """Every picture by its name, as an SVG element."""
    rows = min(len(findings.importance), SHOWN)
    tall = {"importance": 0.9 + 0.24 * rows}
    return {name: picture(name, title, draw, findings, height=tall.get(name, 3.4)) for name, (title, draw) in _PICTURES.items()}


def picture(name: str, title: str, draw: "Callable[[Axes, Shown], None]", findings: Shown, *, height: float = 3.4) -> str:
    """Draw one picture, with its title for screen readers.

    Raises:
        MissingExtra: what draws is not installed.
    """
    require("train", purpose="a chart")
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    written = io.StringIO()
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style):
        figure = Figure(figsize=(5.2, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot(), findings)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", metadata=nothing, transparent=True)
    return _as_element(written.getvalue(), name, title)


def _as_element(svg: str, name: str, title: str) -> str:
    """The SVG element without the parts that only a file needs, scaled by its place on the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r' id="(figure|axes|patch|matplotlib|xtick|ytick|line2d|text|legend|PathCollection|LineCollection|FillBetween)[^"]*"',
        "",
        svg,
    )
    svg = svg.replace(_INK, "currentColor")
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert box is not None
    named = f'viewBox="{box[1]}" role="img" aria-labelledby="title-{name}"'
    opening = f'<svg {_SPACES} {named}><title id="title-{name}">{title}</title>'
    return re.sub(r"<svg[^>]*>", opening, svg, count=1).strip()


# ---------------------------------------------------------------- each of them


def _lines(axes: "Axes", curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], **how: Any) -> None:
    for at, (name, (x, y)) in enumerate(curves.items()):
        first = at == 0
        axes.plot(x, y, color=COLOURS[at % len(COLOURS)], lw=2.2 if first else 1.2, zorder=9 - at, label=name, **how)
    axes.legend(fontsize=8.5)


def _roc(axes: "Axes", findings: Findings) -> None:
    _lines(axes, {name: (curve.fpr, curve.recall) for name, curve in findings.roc.items()})
    axes.set_xscale("symlog", linthresh=1e-3, linscale=0.6)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="good ones flagged", ylabel="frauds found")
    axes.set_xticks([0, 1e-3, 1e-2, 0.05, 0.2, 1], ["0", "0.1 %", "1 %", "5 %", "20 %", "100 %"])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(_percent)


def _precision_recall(axes: "Axes", findings: Findings) -> None:
    _lines(axes, {name: (curve.recall, curve.precision) for name, curve in findings.precision_recall.items()})
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="frauds found", ylabel="of those flagged, fraud")
    axes.xaxis.set_major_formatter(_percent)
    axes.yaxis.set_major_formatter(_percent)


def _calibration(axes: "Axes", findings: Findings) -> None:
    bins = [each for each in findings.reliability if each["rows"] >= 10]
    found = [(each["said"], each["true"]) for each in bins if each["frauds"]]  # a logarithm knows no share of nothing
    span = [max(min((min(each) for each in found), default=1e-3) / 3, 1e-6), 1]
    low, high = [max(each["low"], span[0]) for each in bins], [each["high"] for each in bins]
    axes.plot(span, span, color=_INK, lw=1, ls="--", alpha=0.5, label="as said")
    axes.vlines([each["said"] for each in bins], low, high, color=COLOURS[0], lw=1.5, alpha=0.6)
    said, true = [each for each, _ in found], [each for _, each in found]
    axes.plot(said, true, "o-", color=COLOURS[0], ms=4, lw=1.4, label="ensemble, with 95 % interval")
    axes.set(xscale="log", yscale="log", xlim=span, ylim=span, xlabel="score", ylabel="share of fraud")
    axes.legend(fontsize=8.5)


def _scores(axes: "Axes", findings: Findings) -> None:
    bins = findings.distribution
    places = range(len(bins))
    for name, colour, side in (("good", COLOURS[0], -0.2), ("fraud", COLOURS[4], 0.2)):
        axes.bar([at + side for at in places], [each[name] for each in bins], width=0.4, color=colour, label=name)
    axes.set_yscale("symlog", linthresh=1e-3, linscale=0.3)
    axes.set(ylim=(0, 1.05), xlabel="score up to", ylabel="share of its kind")
    axes.set_xticks(list(places), [f"{each['to']:g}" for each in bins], rotation=60, fontsize=8)
    axes.set_yticks([0, 1e-3, 1e-2, 0.1, 1], ["0", "0.1 %", "1 %", "10 %", "100 %"])
    axes.minorticks_off()
    _mark_thresholds(axes, findings)
    axes.legend(fontsize=8.5)


def _mark_thresholds(axes: "Axes", findings: Findings) -> None:
    edges = [each["to"] for each in findings.distribution]
    for name, word, style in (("review_at", "review", ":"), ("block_at", "block", "--")):
        threshold = findings.report.in_force[name]
        if threshold >= 1:
            continue
        at = next(place for place, edge in enumerate(edges) if edge > threshold)
        below = findings.distribution[at]["from"]
        share = (threshold - below) / (edges[at] - below)
        axes.axvline(at - 0.5 + share, color=_INK, lw=1, ls=style, alpha=0.7, label=f"{word} from {threshold:.3g}")


def _money(axes: "Axes", findings: Findings) -> None:
    curves = {}
    for name, rows in findings.money.items():
        known = sorted((row["reviews_per_day"] or 0.0, row["saved"] or 0.0) for row in rows if row["reviews_per_day"])
        curves[name] = ([at for at, _ in known], [saved for _, saved in known])
    _lines(axes, curves)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _at: f"{value:g}")
    axes.axhline(0, color=_INK, lw=0.8, alpha=0.6)
    reviews, saved = (findings.report.decided.get(name) for name in ("reviews_per_day", "saved"))
    if reviews and saved is not None:
        axes.plot([reviews], [saved], "o", color=_INK, ms=6, zorder=10, label="in force, on the test")
        axes.legend(fontsize=8.5)
    axes.set(xlabel="reviews a day", ylabel="saved, in the currency of the amounts")
    best = max((max(y, default=0.0) for _, y in curves.values()), default=0.0)
    axes.set_ylim(-0.35 * best if best else None, 1.1 * best if best else None)
    axes.yaxis.set_major_formatter(lambda value, _at: _short(value))


def _importance(axes: "Axes", findings: Findings) -> None:
    shown = findings.importance[:SHOWN][::-1]
    places = range(len(shown))
    axes.barh([at + 0.2 for at in places], [each["mean"] for each in shown], height=0.38, color=COLOURS[0], label="all events")
    axes.barh(
        [at - 0.2 for at in places],
        [each["flagged"] for each in shown],
        height=0.38,
        color=COLOURS[4],
        label="the most suspicious 1 %",
    )
    axes.set_yticks(list(places), [each["feature"] for each in shown], fontsize=8.5)
    axes.set(ylim=(-0.6, len(shown) - 0.4), xlabel="mean size of the contribution (log-odds)")
    axes.legend(fontsize=8.5, loc="lower right")


def _percent(value: float, _at: Any = None) -> str:
    return f"{100 * value:.0f} %"


def _short(value: float) -> str:
    """A sum of money in few characters.

    >>> _short(1234567.0), _short(-45000.0), _short(250.0)
    ('1.2M', '-45k', '250')
    """
    if not math.isfinite(value):
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.2g}{letter}" if abs(value) < 10 * size else f"{value / size:.0f}{letter}"
    return f"{value:.0f}"


_PICTURES: "Mapping[str, tuple[str, Callable[[Axes, Findings], None]]]" = {
    "roc": ("ROC curve: frauds found by share of good ones flagged", _roc),
    "precision_recall": ("Precision by recall", _precision_recall),
    "calibration": ("Calibration: share of fraud by score", _calibration),
    "scores": ("Distribution of scores, fraud and good", _scores),
    "money": ("Money saved by reviews a day", _money),
    "importance": ("Importance: mean size of contributions to the log-odds", _importance),
}
"""By name: what a picture says to those who do not see it, and what draws it."""
