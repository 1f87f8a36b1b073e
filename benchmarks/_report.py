"""The form of every benchmark: rows with a value, a reference measured in the same run, and a target.

    def run(quick: bool) -> list[Row]:
        seconds = best_of(3, lambda: work())
        return [Row.faster("kernel", 500_000 / seconds, "events/s", "deques", 96_000, target=40)]

    if __name__ == "__main__":
        main(run)

`python benchmarks/NAME.py [--quick] [--json]`: with `--quick` it stays under 45 seconds; with `--json` standard output
holds one JSON list and nothing else.
"""

import argparse
import gc
import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One measured figure. ratio: how many times better than the reference; met: None where there is no target."""

    name: str
    value: float | None
    unit: str
    reference: str | None = None
    reference_value: float | None = None
    ratio: float | None = None
    target: str | None = None
    met: bool | None = None

    @classmethod
    def faster(
        cls, name: str, value: float, unit: str, reference: str, reference_value: float, *, target: float | None = None
    ) -> "Row":
        """A rate (more is better) beside a reference rate; the target is the least ratio."""
        ratio = value / reference_value
        met = None if target is None else ratio >= target
        return cls(name, value, unit, reference, reference_value, ratio, None if target is None else f">= {target:g}x", met)

    @classmethod
    def shorter(
        cls, name: str, value: float, unit: str, reference: str, reference_value: float, *, target: float | None = None
    ) -> "Row":
        """A duration (less is better) beside a reference duration; the target is the least ratio."""
        ratio = reference_value / value
        met = None if target is None else ratio >= target
        return cls(name, value, unit, reference, reference_value, ratio, None if target is None else f">= {target:g}x", met)

    @classmethod
    def at_most(cls, name: str, value: float, unit: str, limit: float) -> "Row":
        """A figure that must stay at or under a limit."""
        return cls(name, value, unit, target=f"<= {limit:g} {unit}", met=value <= limit)

    @classmethod
    def at_least(cls, name: str, value: float, unit: str, limit: float) -> "Row":
        """A figure that must reach a limit."""
        return cls(name, value, unit, target=f">= {limit:g} {unit}", met=value >= limit)

    @classmethod
    def figure(cls, name: str, value: float, unit: str) -> "Row":
        """A figure without a target."""
        return cls(name, value, unit)

    @classmethod
    def absent(cls, name: str, unit: str, reason: str) -> "Row":
        """A figure that could not be measured here, and why."""
        return cls(name, None, unit, reference=reason)


def durations(repeats: int, work: Callable[[], Any]) -> list[float]:
    """Seconds of each of `repeats` calls, garbage collection switched off meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        return [_once(work) for _ in range(repeats)]
    finally:
        if enabled:
            gc.enable()


def _once(work: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - start) / 1e9


def best_of(repeats: int, work: Callable[[], Any]) -> float:
    """The shortest of `repeats` calls in seconds: what the machine can do when nothing else disturbs it."""
    return min(durations(repeats, work))


def median_of(repeats: int, work: Callable[[], Any]) -> float:
    """The median of `repeats` calls in seconds."""
    return statistics.median(durations(repeats, work))


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(0, rank - 1)]


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "model": _cpu_model(),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text, the machine above them."""
    facts = machine()
    heads = ["", "value", "unit", "reference", "value", "ratio", "target", ""]
    cells = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(heads))]
    left = {0, 2, 3, 6, 7}
    lines = [
        "  ".join(c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in cells
    ]
    return "\n".join([f"{facts['cpus']} x {facts['model']}, Python {facts['python']}, {facts['system']}", *lines])


def _cells(row: Row) -> list[str]:
    mark = {True: "met", False: "NOT MET", None: ""}[row.met]
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}x"
    return [
        row.name,
        number(row.value),
        row.unit,
        row.reference or "",
        number(row.reference_value),
        ratio,
        row.target or "",
        mark,
    ]


def number(value: float | None) -> str:
    """Three significant digits, thousands separated."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main(run: Callable[[bool], list[Row]]) -> None:
    """Read `--quick` and `--json`, run, print."""
    doc = sys.modules["__main__"].__doc__
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a shorter run, under 45 seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    options = parser.parse_args()
    rows = run(options.quick)
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    else:
        sys.stdout.write(table(rows) + "\n")
