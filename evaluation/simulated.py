"""The built-in detectors on simulated traffic with every attack: python evaluation/simulated.py [NAME...] [--quick] [--json].

Three months, 1 % fraud, labels that come late; what counts is the last month, which nothing was fitted or chosen on.
"""

import argparse
import json
import sys
from datetime import timedelta
from typing import Any

from _table import say, table

from penstock.offline.datasets import read
from penstock.offline.evaluate import evaluate
from penstock.offline.simulate import simulate
from penstock.offline.thresholds import ByRate
from penstock.offline.train import Options, run
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of

NAMES = ("card", "banking", "payments")
EVENTS, DAYS, TEST_DAYS = 360_000, 90, 30
FALSE_POSITIVES = 0.0175
"""Of good ones to stop by score, on the validation: with what rules stop, about 2 % in all."""


def evaluated(name: str, *, events: int = EVENTS, seed: int = 1) -> dict[str, Any]:
    """Train a detector on its simulated traffic and judge its decisions on the last month."""
    detector = load_detector(name)
    frame = simulate(profile_of(name), events=events, seed=seed, days=DAYS)
    begin = frame[detector.time].min()
    wishes = Options(
        valid_from=begin + timedelta(days=40),
        test_from=begin + timedelta(days=DAYS - TEST_DAYS),
        choice=ByRate(review_fpr=FALSE_POSITIVES),
    )
    recorded = read(frame, detector)
    trained = run(detector, recorded, wishes)
    found = evaluate(detector, recorded, trained, attacks=frame.select(detector.id, "attack"))
    return {**found, "rows": trained.report.rows, "thresholds": trained.report.in_force, "members": trained.report.members}


def render(found: dict[str, dict[str, Any]]) -> str:
    """The result for people."""
    decided = {
        name: {
            "roc_auc": each["score"]["roc_auc"],
            "average_precision": each["score"]["average_precision"],
            **each["decisions"],
            "by_rules": each["by_rules"]["recall"],
            "frauds": each["frauds"],
        }
        for name, each in found.items()
    }
    parts = [table("last 30 days", decided, COLUMNS)]
    parts += [table(f"{name}: attack", each["attacks"], ATTACKS) for name, each in found.items()]
    return "\n\n".join(parts)


COLUMNS = {
    "frauds": "frauds",
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "recall": "frauds stopped",
    "value_detection_rate": "of their value",
    "false_positive_rate": "false positives",
    "by_rules": "by rules alone",
    "reviews_per_day": "reviews a day",
    "saved": "saved",
}
ATTACKS = {
    "frauds": "frauds",
    "stopped": "stopped",
    "value_stopped": "of their value",
    "episodes": "episodes",
    "detected": "detected",
    "median_s_to_detection": "median seconds to detection",
    "mean_frauds_before_detection": "frauds before it",
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--quick", action="store_true", help="a sixth of the events")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    results = {}
    for each in given.names:
        say(each)
        results[each] = evaluated(each, events=EVENTS // 6 if given.quick else EVENTS)
    sys.stdout.write((json.dumps(results, indent=1) if given.json else render(results)) + "\n")
