"""Fraud_Data split by time, four fifths and a fifth: python evaluation/fraud_data.py FILE [--quick] [--json].

Beside it, as a warning, the same models on a split at random, and without the purchases of January 2015.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from _table import main, table

from penstock.detectors import ecommerce
from penstock.models import metrics
from penstock.offline import measure
from penstock.offline.datasets import read
from penstock.offline.folds import held_out, in_time_order, learn
from penstock.offline.rows import Rows, replayed

BURST_ENDS = datetime(2015, 2, 1, tzinfo=UTC)
FOLDS = 3


def evaluate(path: Path, say: Any = lambda _text: None, *, quick: bool = False) -> dict[str, Any]:
    """ROC AUC and average precision with their intervals."""
    detector = ecommerce.detector
    rows = replayed(detector, read(path, detector))
    say(f"replayed {len(rows):,} purchases")
    models = list(detector.models)[: 1 if quick else None]
    order = np.argsort(rows.time_us, kind="stable")
    cut = len(rows) * 4 // 5
    early, late = rows.take(order[:cut]), rows.take(order[cut:])
    after = early.take(early.time_us >= int(BURST_ENDS.timestamp() * 1e6))
    mixed = np.random.default_rng(0).permutation(len(rows))
    found: dict[str, Any] = {"rows": len(rows), "frauds": rows.frauds, "late_frauds": late.frauds}
    say("split by time")
    found["by_time"] = by_time(models, early, late)
    say("split by time, without January")
    found["by_time_without_burst"] = by_time(models, after, late)
    say("split at random, which is a mistake")
    study = held_out(rows.take(mixed[:cut]), rows.take(mixed[cut:]), detector.plan.inputs)
    found["at_random"] = told(learn(models, study, seed=0).judged, study.judged)
    return found


def by_time(models: Any, early: Rows, late: Rows) -> dict[str, Any]:
    """Learned from the early rows (calibrated by folds in time order inside them), measured on the late ones."""
    features = ecommerce.detector.plan.inputs
    ensemble = learn(models, in_time_order(early, FOLDS, features), seed=0).ensemble
    return told(ensemble.score(late.encoded(ensemble.encodings, features).x).ensemble, late)


def told(score: Any, rows: Rows) -> dict[str, Any]:
    """Figures and their intervals, users drawn as a whole."""
    figures = measure.figures_of(score, rows, 0.5)
    between = metrics.intervals(score, rows.fraud, rows.card)
    return {**figures, **{f"{name}_interval": list(each) if each else None for name, each in between.items()}}


COLUMNS = {
    "roc_auc": "ROC AUC",
    "roc_auc_interval": "95 % interval",
    "average_precision": "average precision",
    "average_precision_interval": "95 % interval ",
    "recall_at_fpr_0.01": "recall at 1 % FPR",
}


def render(found: dict[str, Any]) -> str:
    """The result for people."""
    rows = {
        "split by time, 80/20": found["by_time"],
        "the same, trained without January 2015": found["by_time_without_burst"],
        "split at random: no estimate, a warning": found["at_random"],
    }
    base = f"{found['rows']:,} purchases, {found['frauds']:,} frauds."
    return "\n\n".join([base, table("split", rows, COLUMNS)])


if __name__ == "__main__":
    main(evaluate, render, sys.argv[1:])
