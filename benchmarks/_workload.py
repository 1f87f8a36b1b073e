"""The stream and the detectors that benchmarks share: 3 entities and 9 features, with models and rules where wanted."""

from collections import Counter, defaultdict, deque
from datetime import datetime
from math import sqrt

import msgspec
import numpy as np
import polars as pl

from penstock import Detector, Entity, LogisticRegression, Policy, Rule, XGBoost
from penstock.messages import Batch
from penstock.models import Ensemble, fit_ensemble
from penstock.offline.replay import Replay, read

HOUR, DAY = 3600, 86400
EPOCH_US = 1_767_225_600_000_000  # 2026-01-01


class Payment(msgspec.Struct):
    """What is paid, by whom, where, from what."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    device_id: str
    merchant_id: str
    amount: float


customer, device, merchant = Entity("customer_id"), Entity("device_id"), Entity("merchant_id")
NINE = [
    customer.count("1h"),
    customer.sum("amount", "1h"),
    customer.count("24h"),
    customer.sum("amount", "24h"),
    customer.mean("amount", "7d"),
    customer.std("amount", "7d"),
    customer.since_last("30d"),
    device.distinct("customer_id", "24h"),
    merchant.count("1h"),
]


def detector(features=NINE, *, models=(), rules=(), policy=None) -> Detector:
    """A detector over the stream."""
    return Detector(
        "benchmark",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        features=list(features),
        models=list(models),
        rules=list(rules),
        policy=policy,
        naive_times="UTC",
    )


nine = detector()
"""Declared, for processes that load this file."""


def many_features() -> list:
    """120 features over 5 entities: count, sum, mean and std over six windows each."""
    entities = [customer, device, merchant, Entity("customer_id", "merchant_id"), Entity("customer_id", "device_id")]
    windows = ["5m", "1h", "6h", "24h", "7d", "30d"]
    return [
        f for e in entities for w in windows for f in (e.count(w), e.sum("amount", w), e.mean("amount", w), e.std("amount", w))
    ]


def stream(n: int, *, customers=5_000, devices=8_000, merchants=1_000, days=30, seed=0) -> pl.DataFrame:
    """n payments over some days, in order of time."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "transaction_id": [f"tx{i:09d}" for i in range(n)],
            "timestamp": pl.Series(np.sort(rng.integers(0, days * DAY * 10**6, n)) + EPOCH_US).cast(pl.Datetime("us", "UTC")),
            "customer_id": pl.Series("", _names("C", rng.integers(0, customers, n))),
            "device_id": pl.Series("", _names("D", rng.integers(0, devices, n))),
            "merchant_id": pl.Series("", _names("M", rng.zipf(1.4, n) % merchants)),
            "amount": np.round(rng.lognormal(3.3, 1.0, n), 2),
        }
    )


def _names(prefix: str, numbers: np.ndarray) -> list[str]:
    return [f"{prefix}{number:07d}" for number in numbers.tolist()]


def batch_of(declared: Detector, frame: pl.DataFrame) -> Batch:
    """The whole stream as one batch."""
    return Replay(declared).read_all(read(frame, declared))


RULES = [
    Rule("spent_fast", "customer_sum_amount_1h > 2500", then="review"),
    Rule("many_in_an_hour", "customer_count_1h >= 9", then="review"),
    Rule("large", "amount > 3000", then="review"),
    Rule("far_above_usual", "amount > 40 * customer_mean_amount_7d AND customer_count_24h > 3", then="review"),
    Rule("busy_device", "device_distinct_customer_id_24h >= 9", then="review"),
    Rule("quick_repeat", "customer_since_last_30d < 1 AND amount > 500", then="review"),
    Rule("night_and_large", "hour(timestamp) < 5 AND amount > 1500", then="review"),
    Rule("spread", "customer_std_amount_7d > 1500", then="review"),
    Rule("day_total", "customer_sum_amount_24h > 4000", then="review"),
    Rule("odd_merchant", "merchant_count_1h < 1 AND amount > 900", then="review"),
]


def scoring_detector(rules=RULES, features=NINE) -> Detector:
    """LR and XGBoost half and half, ten rules unless given; the threshold is where one event in a hundred is not approved."""
    models = [LogisticRegression(weight=0.5), XGBoost(weight=0.5, trees=200, depth=6)]
    return detector(features, models=models, rules=rules, policy=Policy(review_at=0.25, block_at=0.9))


def trained(declared: Detector, frame: pl.DataFrame, *, seed=0) -> Ensemble:
    """Models fitted to a made-up truth, rare and noisy, so that about one event in a hundred is not approved."""
    batch = batch_of(declared, frame)
    x = np.ascontiguousarray(batch.x[:, [declared.plan.layout[name].index for name in declared.plan.inputs]])
    rng = np.random.default_rng(seed)
    level = np.log1p(batch.x[:, declared.plan.layout["amount"].index]) + rng.normal(0, 0.6, len(x))
    y = (level > np.quantile(level, 0.99)).astype(np.float64)
    half = len(x) // 2
    return fit_ensemble(declared.models, x[:half], y[:half], x[half:], y[half:], declared.plan.inputs, seed=seed)


def with_deques(times_us: list[int], customers: list, devices: list, merchants: list, amounts: list[float]) -> list[tuple]:
    """The nine features in plain Python: a deque per key and window, running sums, exact on this stream."""
    hour, day, week = HOUR * 10**6, DAY * 10**6, 7 * DAY * 10**6
    h1, d1, d7 = defaultdict(deque), defaultdict(deque), defaultdict(deque)
    s1, s24 = defaultdict(float), defaultdict(float)
    s7, q7 = defaultdict(float), defaultdict(float)
    last: dict = {}
    seen, who = defaultdict(deque), defaultdict(Counter)
    at_merchant = defaultdict(deque)
    out = []
    for t, c, d, m, a in zip(times_us, customers, devices, merchants, amounts, strict=True):
        w = h1[c]
        while w and w[0][0] <= t - hour:
            s1[c] -= w.popleft()[1]
        w.append((t, a))
        s1[c] += a
        w24 = d1[c]
        while w24 and w24[0][0] <= t - day:
            s24[c] -= w24.popleft()[1]
        w24.append((t, a))
        s24[c] += a
        w7 = d7[c]
        while w7 and w7[0][0] <= t - week:
            old = w7.popleft()[1]
            s7[c] -= old
            q7[c] -= old * old
        w7.append((t, a))
        s7[c] += a
        q7[c] += a * a
        n = len(w7)
        mean = s7[c] / n
        std = sqrt(max(0.0, (q7[c] - n * mean * mean) / (n - 1))) if n > 1 else None
        since = (t - last[c]) / 1e6 if c in last else None
        last[c] = t
        wd, counts = seen[d], who[d]
        while wd and wd[0][0] <= t - day:
            gone = wd.popleft()[1]
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
        wd.append((t, c))
        counts[c] += 1
        wm = at_merchant[m]
        while wm and wm[0] <= t - hour:
            wm.popleft()
        wm.append(t)
        out.append((len(w), s1[c], len(w24), s24[c], mean, std, since, len(counts), len(wm)))
    return out


WITH_DUCKDB = """
    select count(*) over h, sum(amount) over h, count(*) over d, sum(amount) over d, avg(amount) over w,
           stddev_samp(amount) over w,
           timestamp - lag(timestamp) over (partition by customer_id order by timestamp),
           count(distinct customer_id) over (partition by device_id order by timestamp
               range between interval 24 hours preceding and current row),
           count(*) over (partition by merchant_id order by timestamp
               range between interval 1 hour preceding and current row)
    from payments
    window h as (partition by customer_id order by timestamp range between interval 1 hour preceding and current row),
           d as (partition by customer_id order by timestamp
               range between interval 24 hours preceding and current row),
           w as (partition by customer_id order by timestamp range between interval 7 days preceding and current row)
"""


def columns(frame: pl.DataFrame) -> tuple[list, ...]:
    """What the plain Python version reads."""
    times = frame["timestamp"].to_physical().to_list()
    return times, *(frame[name].to_list() for name in ("customer_id", "device_id", "merchant_id", "amount"))
