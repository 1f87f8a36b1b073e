"""Every accuracy row: python evaluation/run.py [--recorded DIR] [--quick] [--json]; what `make eval` runs.

What needs recorded data is left out, and named, where the folder does not hold it.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import fraud_data
import handbook
import recorded
import simulated
from _table import say

DEFAULT = os.environ.get("PENSTOCK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
HANDBOOK, PURCHASES, MOVEMENTS = "handbook_transactions.parquet", "Fraud_Data.csv", "paysim_excerpt.csv"


def everything(folder: Path, *, quick: bool) -> tuple[dict[str, Any], str]:
    """All results, and the page that shows them."""
    found: dict[str, Any] = {}
    page: list[str] = []

    def section(title: str, result: Any, text: str) -> None:
        found[title] = result
        page.append(f"## {title}\n\n{text}")

    for title, name, module in (
        ("Card payments by the Handbook's protocol", HANDBOOK, handbook),
        ("Purchases (Fraud_Data), split by time", PURCHASES, fraud_data),
    ):
        if (folder / name).is_file():
            say(title)
            result = module.evaluate(folder / name, say, quick=quick)
            section(title, result, module.render(result))
        else:
            page.append(f"## {title}\n\nLeft out: there is no {name} in {folder}; name its folder with --recorded DIR.")
    if (folder / MOVEMENTS).is_file():
        say("mobile money")
        result = recorded.evaluated("mobile_money", folder / MOVEMENTS)
        section("Mobile money (PaySim excerpt)", result, recorded.render(result))
    results = {}
    for name in simulated.NAMES:
        say(f"simulated {name}")
        results[name] = simulated.evaluated(name, events=simulated.EVENTS // (6 if quick else 1))
    section("Simulated traffic, all attacks", results, simulated.render(results))
    return found, "\n\n".join(page)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--recorded", type=Path, default=Path(DEFAULT), help="folder of the recorded files")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    values, text = everything(given.recorded, quick=given.quick)
    sys.stdout.write((json.dumps(values, indent=1) if given.json else text) + "\n")
