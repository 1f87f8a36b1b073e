"""Summary figures of a replay."""

import math
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.models import metrics
from penstock.offline.datasets import Recorded

_CAUSES = 10


def outcome(
    detector: Detector, recorded: Recorded, decided: pl.DataFrame, rows: NDArray[np.int64], seconds: float
) -> dict[str, Any]:
    """Decisions, speed, refused and repeated rows, and the quality of the decisions where there are labels.

    Args:
        detector: the one that decided.
        recorded: the replayed data.
        decided: what `penstock.offline.replay.replay` returned.
        rows: where its rows stand in the recorded frame.
        seconds: how long it took.
    """
    events = len(decided)
    return {
        "detector": detector.name,
        "events": events,
        "seconds": round(seconds, 3),
        "events_per_s": round(events / seconds) if seconds else None,
        "latency_us": round(1e6 * seconds / events, 2) if events else None,
        "decisions": dict(decided["decision"].value_counts(sort=True).iter_rows()),
        "refused": len(recorded.refused),
        "repeats": recorded.repeats(detector.id, rows),
        "causes": dict(recorded.refused["message"].value_counts(sort=True).head(_CAUSES).iter_rows()),
        "worth": _worth(detector, recorded, decided, rows),
    }


def _worth(
    detector: Detector, recorded: Recorded, decided: pl.DataFrame, rows: NDArray[np.int64]
) -> dict[str, dict[str, float | None]]:
    """Quality of decisions and score, over the events with a label.

    Rates are None below 30 known outcomes; see `penstock.outcomes`.
    """
    label = detector.label
    if label is None or label.field not in recorded.frame.columns:
        return {}
    known = decided.with_columns(recorded.frame[label.field].gather(rows).alias("truth:fraud"))
    known = known.filter(pl.col("truth:fraud").is_not_null())
    if known.is_empty():
        return {}
    fraud = known["truth:fraud"].cast(pl.Float64).to_numpy()
    stopped = (known["decision"] != "APPROVE").cast(pl.Float64).to_numpy()
    caught = float((stopped * fraud).sum())
    found: dict[str, dict[str, float]] = {
        "decisions": {"known": len(known), "frauds": fraud.sum(), "stopped": stopped.sum(), "caught": caught}
    }
    rates: dict[str, float | None] = {}
    for name, rate in metrics.known_rates(stopped, fraud, 0.5).items():
        rates |= {name: rate.value, f"{name}_low": rate.low, f"{name}_high": rate.high}
    rates["f1"] = metrics.figures(stopped, fraud, threshold=0.5)["f1"]
    found["decisions"] |= {name: math.nan if value is None else value for name, value in rates.items()}
    if known["score"].null_count() == 0:
        found["score"] = {
            name: function(known["score"].to_numpy(), fraud)
            for name, function in (("roc_auc", metrics.roc_auc), ("average_precision", metrics.average_precision))
        }
    return {
        what: {name: None if math.isnan(value) else float(value) for name, value in each.items()}
        for what, each in found.items()
    }
