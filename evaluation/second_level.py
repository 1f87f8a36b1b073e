"""What aggregates of computed features would add: python evaluation/second_level.py [SET...] [--events N] [--quick] [--json].

The engine replays a set and computes features of one level, among them z-scores of an amount to its payer, to its category (on
the Handbook's set, which has none, its terminal) and to its payer in that category. A second level is computed from those
outside: how often, how much and when the payer's earlier payments deviated, the last z-scores, and how much the payments that
the other party received deviated. The same models are fitted with and without it. What counts is the gain on later days.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from _table import say, table
from handbook import detector as handbook_detector

from penstock import Entity, LightGBM, XGBoost, derive
from penstock.detector import Detector
from penstock.features.definitions import Added, describe
from penstock.models import metrics
from penstock.models.fit import fit_member, outputs
from penstock.offline import protocol
from penstock.offline.datasets import read
from penstock.offline.protocol import DAY_US
from penstock.offline.rows import Rows, replayed
from penstock.offline.simulate import simulate
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of

RECORDED = os.environ.get("PENSTOCK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
EVENTS, DAYS, TEST_DAYS, SEEDS = 180_000, 90, 30, (1, 2, 3)
ODD, PAYER_WINDOW, OTHER_WINDOW = 2.0, "30d", "7d"
MODELS = (LightGBM(trees=250), XGBoost(trees=250, depth=6))
DRAWS, FALSE_POSITIVES = 200, 0.01


class Parties(NamedTuple):
    """Fields of a payment: its amount, who pays, who receives, and what the amount is compared with beside the payer."""

    amount: str
    payer: str
    other: str
    peers: str


class Part(NamedTuple):
    """Rows of one seed or fold with both levels, and which of them are trained and judged on."""

    rows: Rows
    second: np.ndarray
    train: np.ndarray
    test: np.ndarray


# ---------------------------------------------------------------- the two levels


def with_scores(detector: Detector, parties: Parties) -> Detector:
    """The detector with z-scores of the amount's logarithm among its inputs, computed by the engine."""
    of = {"payer": (parties.payer,), "peers": (parties.peers,), "payer_peers": (parties.payer, parties.peers)}
    features: list[Any] = [derive("log_amount", f"ln({parties.amount} + 1)")]
    for name, fields in of.items():
        entity = Entity(*fields, name=f"key_{name}")
        features.append(entity.mean("log_amount", "60d", current=False).named(f"mean_{name}"))
        features.append(entity.std("log_amount", "60d", current=False).named(f"std_{name}"))
        features.append(derive(f"z_{name}", f"(log_amount - mean_{name}) / nullif(std_{name}, 0)"))
    added = detector.with_features([Added(each.name, describe(each)) for each in features])
    return added.with_inputs([*detector.plan.inputs, *(f"z_{name}" for name in of)])


def second_level(frame: pl.DataFrame, scores: Sequence[str]) -> pl.DataFrame:
    """Features of each payment from the z-scores of earlier ones alone.

    frame: in the order of arrival, with columns payer, other, time (us) and the scores. A window of a key ends before the
    newest time that the key was seen with, so that neither the payment itself nor a later one is part of it.
    """
    keys = ("payer", "other")
    clocks = [pl.col("time").cum_max().over(key).cast(pl.Datetime("us")).alias(f"clock_{key}") for key in keys]
    made = frame.with_columns(pl.col(name).fill_nan(None) for name in scores).with_columns(*clocks)
    columns = [column for name in scores for column in (*_of_payer(name), *_of_other(name))]
    return made.select(columns).with_columns(pl.all().fill_nan(None))


def _of_payer(name: str) -> Iterator[pl.Expr]:
    z, time = pl.col(name), pl.col("time")
    odd = (z.abs() > ODD).cast(pl.Float64)
    known, ever = z.is_not_null().cast(pl.Float64), odd.fill_null(0.0)
    before = known.cum_sum() - known
    last_odd = pl.when(z.abs() > ODD).then(time).forward_fill().shift(1)
    columns = {
        "last": z.shift(1),
        "last_but_one": z.shift(2),
        "odd_share_ever": (ever.cum_sum() - ever) / before,
        "deviation_ever": (z.abs().fill_null(0.0).cum_sum() - z.abs().fill_null(0.0)) / before,
        "since_odd": (time - last_odd).cast(pl.Float64),
    }
    windows = {
        "odd_count": odd.rolling_sum_by("clock_payer", PAYER_WINDOW, closed="left"),
        "mean": z.rolling_mean_by("clock_payer", PAYER_WINDOW, closed="left"),
        "largest": z.rolling_max_by("clock_payer", PAYER_WINDOW, closed="left"),
    }
    for what, values in {**columns, **windows}.items():
        yield pl.when(pl.col("payer").is_not_null()).then(values.over("payer")).alias(f"{name}_{what}")


def _of_other(name: str) -> Iterator[pl.Expr]:
    z = pl.col(name)
    windows = {
        "other_mean": z.rolling_mean_by("clock_other", OTHER_WINDOW, closed="left"),
        "other_odd_share": (z.abs() > ODD).cast(pl.Float64).rolling_mean_by("clock_other", OTHER_WINDOW, closed="left"),
    }
    for what, values in windows.items():
        yield pl.when(pl.col("other").is_not_null()).then(values.over("other")).alias(f"{name}_{what}")


def _both(detector: Detector, frame: pl.DataFrame, parties: Parties, payer: pl.Expr) -> tuple[Detector, Rows, np.ndarray]:
    """The engine's features of every row, and the second level beside them."""
    judged = with_scores(detector, parties)
    rows = replayed(judged, read(frame, judged))
    inputs = list(judged.plan.inputs)
    scores = [name for name in inputs if name.startswith("z_")]
    earlier = frame.select(payer.alias("payer"), pl.col(parties.other).alias("other"))[rows.row]
    columns = [pl.Series("time", rows.time_us), *(pl.Series(name, rows.x[:, inputs.index(name)]) for name in scores)]
    second = second_level(earlier.with_columns(columns), scores)
    return judged, rows, second.to_numpy().astype(np.float64)


# ---------------------------------------------------------------- the sets


class Size(NamedTuple):
    """Where the recorded file is, how many events a simulated set has, and how many seeds or folds are taken."""

    folder: Path
    events: int
    most: int


def handbook(size: Size, detector: Detector = handbook_detector) -> Iterator[tuple[Detector, Part]]:
    """The test folds of the book's protocol, with the book's features."""
    frame = pl.read_parquet(size.folder / "handbook_transactions.parquet").sort("TX_DATETIME", "TRANSACTION_ID")
    frame = frame.filter(pl.col("TX_DATETIME") < pl.lit(max(protocol.TEST_FOLDS) + timedelta(days=22)))
    parties = Parties("TX_AMOUNT", "CUSTOMER_ID", "TERMINAL_ID", "TERMINAL_ID")
    judged, rows, second = _both(detector, frame, parties, pl.col("CUSTOMER_ID"))
    for first in protocol.TEST_FOLDS[: size.most]:
        fold = protocol.FoldRows.starting(first, rows)
        yield judged, Part(rows, second, fold.train, fold.test)


def handbook_wide(size: Size) -> Iterator[tuple[Detector, Part]]:
    """The same with more features of the first level, which tell of earlier amounts without a second."""
    amount, customer, terminal = "TX_AMOUNT", Entity("CUSTOMER_ID"), Entity("TERMINAL_ID")
    more = [customer.last(amount), customer.since_last(), terminal.last(amount)]
    for entity in (customer, terminal):
        for window in ("7d", "30d"):
            more += [aggregate(amount, window, current=False) for aggregate in (entity.mean, entity.max, entity.std)]
    inputs = [*handbook_detector.plan.inputs, *(each.name for each in more)]
    return handbook(size, handbook_detector.computing([*handbook_detector.features, *more], inputs))


def card(size: Size) -> Iterator[tuple[Detector, Part]]:
    """Simulated card payments."""
    return _simulated("card", Parties("amount", "payer", "merchant", "category"), pl.coalesce("card", "user"), size)


def mobile_money(size: Size) -> Iterator[tuple[Detector, Part]]:
    """Simulated mobile money."""
    return _simulated("mobile_money", Parties("amount", "nameOrig", "nameDest", "type"), pl.col("nameOrig"), size)


def _simulated(name: str, parties: Parties, payer: pl.Expr, size: Size) -> Iterator[tuple[Detector, Part]]:
    """A set a seed, judged by its last month; labels that were not known by then train nothing."""
    for seed in SEEDS[: size.most]:
        frame = simulate(profile_of(name), events=size.events, seed=seed, days=DAYS)
        judged, rows, second = _both(load_detector(name), frame, parties, payer)
        begin = rows.time_us.min() + (DAYS - TEST_DAYS) * DAY_US
        train = np.flatnonzero(rows.known & (rows.known_us < begin) & (rows.time_us < begin))
        yield judged, Part(rows, second, train, np.flatnonzero(rows.known & (rows.time_us >= begin)))


SETS = {each.__name__: each for each in (handbook, handbook_wide, card, mobile_money)}

# ---------------------------------------------------------------- the gain


def evaluated(name: str, size: Size) -> dict[str, dict[str, Any]]:
    """Figures of each model without and with the second level, means over seeds or folds."""
    found: dict[str, list[dict[str, Any]]] = {model.name: [] for model in MODELS}
    for at, (judged, part) in enumerate(SETS[name](size)):
        for model in MODELS:
            found[model.name].append(_judged(judged.plan.inputs, part, model))
            without, with_ = found[model.name][-1]["average_precision"]
            say(f"{name} {at + 1}: {model.name} {without:.4f}, with the second level {with_:.4f}")
    return {f"{name}, {model}": _over(each) for model, each in found.items()}


def _judged(inputs: tuple[str, ...], part: Part, model: Any) -> dict[str, Any]:
    """Average precision and recall at 1 % false positives, without and with, and bootstrap draws of both gains."""
    rows = part.rows.take(part.train)
    train, test = rows.encoded_by_others(inputs).x, part.rows.take(part.test).encoded(rows.encodings(), inputs).x
    second = part.second[part.train], part.second[part.test]
    more = (*inputs, *(f"second_{at}" for at in range(part.second.shape[1])))
    y, fraud, card_of = part.rows.fraud[part.train], part.rows.fraud[part.test], part.rows.card[part.test]
    scores = [
        outputs(fit_member(model, x, y, names, seed=0), np.ascontiguousarray(judged))
        for names, x, judged in (
            (inputs, train, test),
            (more, np.column_stack((train, second[0])), np.column_stack((test, second[1]))),
        )
    ]
    drawn = [_draws(score, fraud, card_of) for score in scores]
    return {
        "average_precision": [metrics.average_precision(score, fraud) for score in scores],
        "recall": [metrics.recall_at_fpr(score, fraud, FALSE_POSITIVES) for score in scores],
        "drawn": drawn[1] - drawn[0],
        "frauds": int(fraud.sum()),
    }


def _draws(score: np.ndarray, fraud: np.ndarray, card_of: np.ndarray) -> np.ndarray:
    """Both figures in Poisson bootstraps (draws, 2) of cards; the same cards in each call, so that draws are paired."""
    rng, found = np.random.default_rng(0), []
    order = np.argsort(-score, kind="stable")
    member = np.unique(card_of, return_inverse=True)[1]
    for _ in range(DRAWS):
        heavy = rng.poisson(1.0, member.max() + 1).astype(np.float64)[member][order]
        figures = metrics.ranking_figures(np.cumsum(heavy * fraud[order]), np.cumsum(heavy))
        found.append([figures[metrics.RANKING.index(name)] for name in ("average_precision", "recall_at_fpr_0.01")])
    return np.array(found)


def _over(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds or folds; the spread of the gain over them, and the bootstrap interval of its mean."""
    found: dict[str, Any] = {"frauds": sum(one["frauds"] for one in each)}
    low, high = np.percentile(np.mean([one["drawn"] for one in each], axis=0), [2.5, 97.5], axis=0)
    for at, name in enumerate(("average_precision", "recall")):
        without, with_ = np.array([one[name] for one in each]).T
        gains = with_ - without
        found |= {name: float(without.mean()), f"{name}_with": float(with_.mean()), f"{name}_gain": float(gains.mean())}
        found |= {
            f"{name}_interval": (float(low[at]), float(high[at])),
            f"{name}_gains": (float(gains.min()), float(gains.max())),
        }
    return found


COLUMNS = {"frauds": "frauds"} | {
    f"{name}{what}": f"{shown}{words}"
    for name, shown in (("average_precision", "AP"), ("recall", "recall at 1 % FPR"))
    for what, words in (("", ""), ("_with", " with"), ("_interval", ", gain: 95 %"), ("_gains", ", gain: least to most"))
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(SETS))
    parser.add_argument("--recorded", type=Path, default=Path(RECORDED), help="folder of the recorded files")
    parser.add_argument("--events", type=int, default=EVENTS, help="of each simulated set")
    parser.add_argument("--quick", action="store_true", help="one seed or fold, a sixth of the simulated events")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    size = Size(given.recorded, given.events // 6, 1) if given.quick else Size(given.recorded, given.events, len(SEEDS) + 1)
    results: dict[str, dict[str, Any]] = {}
    for each in given.names:
        results |= evaluated(each, size)
    sys.stdout.write((json.dumps(results, indent=1) if given.json else table("set, model", results, COLUMNS)) + "\n")
