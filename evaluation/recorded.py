"""A built-in detector on recorded data of one's own: python evaluation/recorded.py DETECTOR FILE [--json].

Any file that the detector reads, with labels: card payments in the columns of the Handbook or Sparkov, PaySim, purchases as
in Fraud_Data. It is split by time with gaps for the label delay; nothing is tuned to the file.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from _table import say, table
from simulated import COLUMNS

from penstock.models import metrics
from penstock.offline.datasets import read
from penstock.offline.evaluate import evaluate
from penstock.offline.thresholds import ByRate
from penstock.offline.train import Options, run
from penstock.wiring.detectors import load_detector


def evaluated(name: str, path: Path) -> dict[str, Any]:
    """Train on the earlier part and judge the decisions on the later one."""
    detector = load_detector(name)
    recorded = read(path, detector)
    say(f"{len(recorded.frame):,} events, {len(recorded.refused):,} refused")
    # times are named, so that a recipe of the detector's own does not apply
    trained = run(detector, recorded, Options(train_from=recorded.frame[detector.time].min(), choice=ByRate(review_fpr=0.018)))
    found = evaluate(detector, recorded, trained)
    report = trained.report
    between = metrics.intervals(trained.scores.ensemble, trained.test.fraud, trained.test.card)
    return {
        **found,
        "detector": name,
        "periods": report.periods.as_json(),
        "rows": report.rows,
        "fraud": report.fraud,
        "members": {**report.members, "ensemble": report.test},
        "intervals": between,
        "notes": report.notes,
    }


def render(found: dict[str, Any]) -> str:
    """The result for people."""
    columns = {"roc_auc": "ROC AUC", "average_precision": "average precision", "recall_at_fpr_0.01": "recall at 1 % FPR"}
    columns |= {"card_precision_at_100": "card precision@100"}
    decided = {
        found["detector"]: {**found["score"], **found["decisions"], "by_rules": found["by_rules"]["recall"], **_size(found)}
    }
    between = ", ".join(f"{name} {low:.3f} to {high:.3f}" for name, (low, high) in _known(found["intervals"]).items())
    lines = [table("test", found["members"], columns), f"95 % intervals: {between}.", table("decisions", decided, COLUMNS)]
    return "\n\n".join([*lines, *(f"note: {note}" for note in found["notes"])])


def _size(found: dict[str, Any]) -> dict[str, Any]:
    return {"frauds": found["frauds"]}


def _known(intervals: dict[str, Any]) -> dict[str, Any]:
    return {name: between for name, between in intervals.items() if between and name in ("roc_auc", "average_precision")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("detector")
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    result = evaluated(given.detector, given.file)
    sys.stdout.write((json.dumps(result, indent=1) if given.json else render(result)) + "\n")
