"""Scores and contributions of 200 trees of depth 6 over 20 features, beside XGBoost and ONNX Runtime, one thread each.

Ours get float64 rows, as events arrive; the others get float32, their own form. Margins must be XGBoost's to the last
bit on 10,000 rows with missing values and values exactly at thresholds; contributions within 1e-5 of `pred_contribs`.
"""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xgboost
from _report import Row, best_of, main

from penstock.models import About, LogisticRegression, XGBoost, fit_ensemble, save
from penstock.models.forest import Forest

FEATURES = [f"feature_{i}" for i in range(20)]
TARGETS = {1: 20.0, 64: 3.0, 4096: 1.5}


def rows_and_outcomes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 20))
    x[:, 0] = np.exp(2 * x[:, 0])
    margin = np.sin(3 * x[:, 1]) + x[:, 2] * x[:, 3] + np.log(x[:, 0]) - 4 + 0.3 * x[:, 4:].sum(axis=1)
    y = (rng.random(n) < 1 / (1 + np.exp(-margin))).astype(float)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x, y


def at_thresholds(forest: Forest, x: np.ndarray) -> np.ndarray:
    """The rows, each with one value moved exactly to where some split compares."""
    splits = forest.nodes[forest.nodes["left"] >= 0]
    chosen = splits[np.random.default_rng(0).integers(len(splits), size=len(x))]
    x = x.copy()
    x[np.arange(len(x)), chosen["feature"]] = chosen["threshold"]
    return x


def us_a_row(work: Callable[[np.ndarray], Any], x: np.ndarray, n: int, repeats: int) -> float:
    """Microseconds for each row in batches of n: the best of several rounds of about 2,000 rows."""
    batch = np.ascontiguousarray(x[:n])
    calls = max(1, 2000 // n)
    work(batch)
    return best_of(repeats, lambda: [work(batch) for _ in range(calls)]) / calls / n * 1e6


def run(quick: bool) -> list[Row]:
    x, y = rows_and_outcomes(15_000, seed=0)
    models = [LogisticRegression(), XGBoost(trees=200, depth=6, scale_pos_weight=1.0, min_child_weight=0.1)]
    with TemporaryDirectory() as folder:
        fitted = fit_ensemble(models, x[:12_000], y[:12_000], x[12_000:], y[12_000:], FEATURES, seed=1)
        ensemble = save(fitted, Path(folder), About("benchmark", "2026-01-01T00:00:00Z", "none"))
    member = ensemble.parts[1].member
    booster = xgboost.Booster({"nthread": 1}, model_file=bytearray(member.attachments["xgboost.json"]))
    probe = at_thresholds(member.forest, rows_and_outcomes(10_000, seed=1)[0])
    repeats = 5 if quick else 25
    return [
        *equalities(member, booster, probe),
        *scores(member, booster, probe, repeats),
        *contributions(member, booster, probe, repeats),
        Row.at_most("ensemble with logistic regression, 1", us_a_row(ensemble.score, probe, 1, repeats), "us/event", 15),
        Row.figure("ensemble with logistic regression, 256", us_a_row(ensemble.score, probe, 256, repeats), "us/event"),
        Row.figure("ensemble's contributions, 1", us_a_row(ensemble.contributions, probe, 1, repeats), "us/event"),
    ]


def margins(member: Any, x: np.ndarray) -> np.ndarray:
    out = np.empty(len(x))
    member.fill(x, out)
    return out


def equalities(member: Any, booster: xgboost.Booster, probe: np.ndarray) -> list[Row]:
    expected = booster.inplace_predict(probe, predict_type="margin")
    different = int((margins(member, probe).astype(np.float32) != expected).sum())
    matrix = xgboost.DMatrix(probe[:1000], feature_names=FEATURES)
    contributions = booster.predict(matrix, pred_contribs=True)[:, :-1]
    furthest = float(np.abs(member.contributions(probe[:1000]) - contributions).max())
    return [
        Row.at_most("margins unlike xgboost's, of 10,000", different, "rows", 0),
        Row.at_most("contributions, furthest from pred_contribs", furthest, "log-odds", 1e-5),
    ]


def scores(member: Any, booster: xgboost.Booster, probe: np.ndarray, repeats: int) -> list[Row]:
    single = probe.astype(np.float32)
    onnx, why_not = onnx_session(member.forest, probe)
    result = []
    for n, target in TARGETS.items():
        ours = us_a_row(lambda rows: margins(member, rows), probe, n, repeats)
        theirs = us_a_row(lambda rows: booster.inplace_predict(rows, predict_type="margin"), single, n, repeats)
        result.append(
            Row.shorter(f"200 trees, batch of {n:,}", ours, "us/row", "xgboost inplace_predict", theirs, target=target)
        )
        if onnx is None:
            result.append(Row.absent(f"200 trees, batch of {n:,}, ONNX Runtime", "us/row", why_not))
        else:
            other = us_a_row(lambda rows: onnx.run(None, {"x": rows}), single, n, repeats)
            result.append(Row.shorter(f"200 trees, batch of {n:,}", ours, "us/row", "ONNX Runtime", other))
    return result


def contributions(member: Any, booster: xgboost.Booster, probe: np.ndarray, repeats: int) -> list[Row]:
    result = []
    for n, limit_us in ((1, 350), (1000, 200)):
        ours = us_a_row(member.contributions, probe, n, min(repeats, 5))
        matrix = xgboost.DMatrix(probe[:n], feature_names=FEATURES)
        calls = max(1, 200 // n)
        theirs = best_of(3, lambda m=matrix, c=calls: [booster.predict(m, pred_contribs=True) for _ in range(c)])
        name = f"contributions, batch of {n:,}"
        result.append(Row.shorter(name, ours, "us/row", "xgboost pred_contribs", theirs / calls / n * 1e6, target=5))
        result.append(Row.at_most(name, ours, "us/row", limit_us))
    return result


# ---------------------------------------------------------------- the same trees for ONNX Runtime


def onnx_session(forest: Forest, probe: np.ndarray) -> tuple[Any, str]:
    """A session on one thread that gives the same margins within float32, or None and the reason."""
    try:
        import onnxruntime
    except ImportError:
        return None, "onnxruntime is not installed"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_model(forest), options, providers=["CPUExecutionProvider"])
    complete = np.nan_to_num(probe[:1000]).astype(np.float32)
    (found,) = session.run(None, {"x": complete})
    expected = walk_margins(forest, complete)
    if not np.allclose(found[:, 0], expected, atol=1e-4):
        return None, "onnxruntime gives other margins for these trees"
    return session, ""


def walk_margins(forest: Forest, x: np.ndarray) -> np.ndarray:
    """Every row through every tree at once, level by level."""
    node = np.tile(forest.roots, (len(x), 1))
    nodes, offset = forest.nodes, forest.roots
    while (split := nodes["left"][node] >= 0).any():
        values = np.take_along_axis(x, nodes["feature"][node], axis=1)
        child = np.where(values < nodes["threshold"][node].astype(np.float32), nodes["left"][node], nodes["right"][node])
        node = np.where(split, child + offset, node)
    return forest.base + nodes["value"][node].sum(axis=1)


def onnx_model(forest: Forest) -> bytes:
    """The trees as an ONNX model with one TreeEnsembleRegressor, written as protocol buffers by hand."""
    nodes = forest.nodes
    sizes = np.diff([*forest.roots, len(nodes)])
    tree = np.repeat(np.arange(len(sizes)), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    leaf = nodes["left"] < 0
    attributes = {
        "nodes_treeids": tree,
        "nodes_nodeids": place,
        "nodes_featureids": nodes["feature"],
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LT"),
        "nodes_values": nodes["threshold"],
        "nodes_truenodeids": np.maximum(nodes["left"], 0),
        "nodes_falsenodeids": np.maximum(nodes["right"], 0),
        "nodes_missing_value_tracks_true": nodes["default_left"],
        "target_treeids": tree[leaf],
        "target_nodeids": place[leaf],
        "target_ids": np.zeros(leaf.sum(), int),
        "target_weights": nodes["value"][leaf],
        "base_values": np.array([forest.base]),
    }
    regressor = [(1, b"x"), (2, b"margin"), (4, b"TreeEnsembleRegressor"), (7, b"ai.onnx.ml")]
    regressor += [(5, attribute(name, values)) for name, values in attributes.items()]
    regressor += [(5, message([(1, b"n_targets"), (3, 1), (20, 2)]))]
    graph = [(1, message(regressor)), (2, b"trees"), (11, matrix("x", forest.width)), (12, matrix("margin", 1))]
    opsets = [(8, message([(1, b"ai.onnx.ml"), (2, 1)])), (8, message([(1, b""), (2, 15)]))]
    return message([(1, 8), (7, message(graph)), *opsets])


def attribute(name: str, values: np.ndarray) -> bytes:
    """An AttributeProto holding a list of strings, floats or ints."""
    if values.dtype.kind == "U":
        return message([(1, name.encode()), *((9, value.encode()) for value in values), (20, 8)])
    if values.dtype.kind == "f":
        return message([(1, name.encode()), (7, struct.pack(f"<{len(values)}f", *values)), (20, 6)])
    return message([(1, name.encode()), (8, b"".join(varint(int(value)) for value in values)), (20, 7)])


def matrix(name: str, width: int) -> bytes:
    """A ValueInfoProto: float32, any number of rows, so many columns."""
    shape = message([(1, message([(2, b"n")])), (1, message([(1, width)]))])
    return message([(1, name.encode()), (2, message([(1, message([(1, 1), (2, shape)]))]))])


def message(fields: Iterable[tuple[int, int | bytes]]) -> bytes:
    """Numbered fields in protocol-buffer form: whole numbers as varints, bytes with their length."""
    written = []
    for number, value in fields:
        if isinstance(value, int):
            written.append(varint(number << 3) + varint(value))
        else:
            written.append(varint(number << 3 | 2) + varint(len(value)) + value)
    return b"".join(written)


def varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


if __name__ == "__main__":
    main(run)
