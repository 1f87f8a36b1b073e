"""A detector's worth of columns and rules, and random records over them."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from penstock.codes import text_codes
from penstock.decision import Judge, Policy, Renderer, Thresholds, compose
from penstock.messages import Batch, Layout, Record, Type, Versions
from penstock.rules import Rule, RuleSet

TYPES = {
    "amount": Type.NUMBER,
    "timestamp": Type.TIME,
    "city": Type.TEXT,
    "action": Type.TEXT,  # a field may be called like a column of the record
    "amount_ratio": Type.NUMBER,
    "is_night": Type.BOOLEAN,
    "previous_time": Type.TIME,
    "previous_city": Type.TEXT,
    "score": Type.NUMBER,
}
FEATURES = ("amount_ratio", "is_night", "previous_time", "previous_city")
MEMBERS = ("logistic_regression", "xgboost")
MODEL_FEATURES = ("amount", "amount_ratio", "is_night")
USUAL = {"amount": 38.2, "amount_ratio": 1.0, "is_night": 0.0}
RULES = (
    Rule("known_good", "city = 'Bern'", then="allow"),
    Rule(
        "spike",
        "amount_ratio > 3",
        then="block",
        reason="{amount:.2f} is {amount_ratio:.1f} times the usual",
        code="amount_spike",
    ),
    Rule("night_abroad", "is_night AND city <> previous_city", then="review"),
    Rule("scored", "score > 0.99", then="block", hard=True),
)
THRESHOLDS = Thresholds(review_at=0.5, block_at=0.8)
DAY_US = 86_400_000_000


@dataclass
class Bench:
    """Everything that decides and renders for one detector."""

    layout: Layout
    rules: RuleSet
    versions: Versions
    renderer: Renderer
    judge: Judge

    def batch(self, rows, ids=None):
        """A micro-batch of rows given as dicts by column; what a row leaves out is null."""
        n = len(rows)
        x = np.full((n, self.layout.width), np.nan)
        texts = {}
        for name, column in self.layout.items():
            values = [row.get(name) for row in rows]
            if column.type is Type.TEXT:
                texts[name] = values
            else:
                x[:, column.index] = np.array(values, np.float64)
        times = np.array([row.get("timestamp") or 0 for row in rows], np.int64)
        codes = np.column_stack([text_codes(texts[name]) for name in texts])
        batch = Batch(ids or [f"tx{i}" for i in range(n)], np.zeros(n, np.uint8), times, times + 5, x, codes, texts)
        self.rules.run(batch)
        return batch

    def record(self, rows, scores=None, failed=None, degraded=None, contributions=None, ids=None) -> Record:
        """The rows decided. scores: (n, 3). contributions: row -> one number per model feature."""
        batch = self.batch(rows, ids)
        n = len(rows)
        scores = np.full((n, 1 + len(MEMBERS)), np.nan) if scores is None else np.array(scores, np.float64).reshape(n, -1)
        batch.x[:, self.layout["score"].index] = scores[:, 0]
        self.rules.run(batch)
        verdicts = self.judge.decide(batch.x, scores, failed and np.array(failed))
        moved = contributions or {}
        return compose(
            batch,
            text_codes(batch.ids),
            verdicts,
            scores,
            detector="banking",
            first_seq=7,
            decided_us=1_770_000_000_000_123,
            layout="layout-1",
            versions=self.versions,
            latency_ms={"decode": 0.0123, "features": 0.003, "total": 1.5},
            degraded=degraded,
            explained=np.array(list(moved), np.int32),
            contributions=np.array(list(moved.values()), np.float64).reshape(len(moved), len(MODEL_FEATURES)),
        )


def make_bench(rules=RULES, words=None, thresholds=THRESHOLDS, on_failure="review", base=None):
    layout = Layout()
    for name, type_ in TYPES.items():
        layout.add(name, type_)
    compiled = RuleSet(rules, layout, TYPES)
    versions = Versions("detector-1", "model-1", compiled.version)
    renderer = Renderer(
        "banking",
        layout,
        versions,
        compiled.rules,
        FEATURES,
        members=MEMBERS,
        model_features=MODEL_FEATURES,
        usual=USUAL,
        words=words,
        thresholds=thresholds,
        base=base,
    )
    return Bench(layout, compiled, versions, renderer, Judge(Policy(on_failure=on_failure), compiled.rules, thresholds))


texts = st.none() | st.sampled_from(["Bern", "Zürich", 'quo"te\\', "", "\x00\x1f", "日本", "🂡"]) | st.text(max_size=8)
numbers = st.none() | st.floats() | st.sampled_from([0.0, -0.0, 3.5, 1e22, 5e-324, 25.5])
instants = st.none() | st.integers(0, 130 * 365 * DAY_US)
rows = st.fixed_dictionaries(
    {
        "amount": numbers,
        "timestamp": st.integers(0, 130 * 365 * DAY_US),
        "city": texts,
        "action": texts,
        "amount_ratio": numbers,
        "is_night": st.none() | st.booleans(),
        "previous_time": instants,
        "previous_city": texts,
    }
)
probabilities = st.just(float("nan")) | st.floats(0, 1)


@st.composite
def records(draw, bench):
    """A record of random rows, scores, failures and contributions."""
    drawn = draw(st.lists(rows, min_size=1, max_size=4))
    n = len(drawn)
    scores = [draw(st.lists(probabilities, min_size=3, max_size=3)) for _ in range(n)]
    failed = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    degraded = [f"models: {draw(st.text(max_size=5))}" if fail else None for fail in failed] if any(failed) else None
    moved = {i: draw(st.lists(st.floats(-5, 5, width=32), min_size=3, max_size=3)) for i in range(n) if draw(st.booleans())}
    ids = draw(st.lists(st.text(max_size=12), min_size=n, max_size=n))
    return bench.record(drawn, scores, failed, degraded, moved, ids)
