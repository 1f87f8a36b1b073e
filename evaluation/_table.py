"""What the evaluations share: their command line, and figures as a table."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def say(text: str) -> None:
    """Progress, on standard error."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def table(title: str, rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Figures as a Markdown table: one row per name."""
    lines = [f"| {title} | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for name, figures in rows.items():
        lines.append(f"| {name} | {' | '.join(shown(figures.get(key)) for key in columns)} |")
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A figure as people read it."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return f"{value[0]:.3f} to {value[1]:.3f}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def main(evaluate: Callable[..., dict[str, Any]], render: Callable[[dict[str, Any]], str], arguments: Sequence[str]) -> None:
    """`python evaluation/NAME.py FILE [--quick] [--json]`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, help="recorded data")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args(arguments)
    found = evaluate(given.file, say, quick=given.quick)
    print(json.dumps(found, indent=1) if given.json else render(found))
