"""How decisions are spread: tallies are what counting one by one gives, however they are put together, saved and restored."""

import math
from collections import Counter
from random import Random

import numpy as np
import pytest

from penstock.clock import SECOND_US
from penstock.engine.statistics.buckets import RANGES
from penstock.engine.statistics.distribution import (
    AMOUNT_BINS,
    AMOUNT_EDGES,
    MOST_VALUES,
    SCORE_BINS,
    Distribution,
    Tally,
    UncountedBatch,
    tally_of,
)

RULES = ("one", "two", "three")


def batch(random, at_us=0):
    n = random.choice([1, 1, 2, 30])
    fired = np.array([[random.random() < 0.2 for _ in RULES] for _ in range(n)])
    rows = np.flatnonzero(fired.any(axis=1))
    return UncountedBatch(
        decided_us=at_us + random.randrange(SECOND_US),
        action=np.array([random.randrange(4) for _ in range(n)], np.uint8),
        amounts=None if random.random() < 0.1 else np.array([random.choice([np.nan, 0.0, 0.1, 17.0, 1e9]) for _ in range(n)]),
        scores=np.array([random.choice([np.nan, 0.0, 0.049999, 0.05, 0.5, 1.0]) for _ in range(n)]),
        time_us=np.array([random.randrange(10**15) for _ in range(n)]),
        values=None if random.random() < 0.1 else [random.choice([None, "a", "b"]) for _ in range(n)],
        fired=(RULES, rows, fired[rows]) if len(rows) else None,
        latency_ms={"models": 10 ** random.uniform(-3, 3), **({"challenger": 1.0} if random.random() < 0.5 else {})},
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_tally_is_what_counting_one_by_one_gives(seed):
    random = Random(seed)
    batches = [batch(random) for _ in range(60)]
    tally = tally_of(batches)
    scores, amounts, hours, values = Counter(), Counter(), Counter(), Counter()
    outcomes, only, last = Counter(), Counter(), {}
    for each in batches:
        for row, action in enumerate(each.action.tolist()):
            score, amount = each.scores[row], math.nan if each.amounts is None else each.amounts[row]
            scores[SCORE_BINS if math.isnan(score) else min(int(score * SCORE_BINS), SCORE_BINS - 1), action] += 1
            place = max(sum(edge <= amount for edge in AMOUNT_EDGES) - 1, 0)
            amounts[AMOUNT_BINS if math.isnan(amount) else min(place, AMOUNT_BINS - 1), action] += 1
            hours[int(each.time_us[row]) // (3600 * SECOND_US) % 24, action] += 1
            if each.values is not None:
                values[each.values[row], action] += 1
        for row, which in zip(each.fired[1].tolist(), each.fired[2].tolist(), strict=True) if each.fired else ():
            names = [name for name, held in zip(RULES, which, strict=True) if held]
            for name in names:
                outcomes[name, int(each.action[row])] += 1
                only[name] += len(names) == 1
                last[name] = max(last.get(name, 0), each.decided_us)
    for told, wanted in ((tally.scores, scores), (tally.amounts, amounts), (tally.hours, hours)):
        assert {(k, a): n for (k, a), n in np.ndenumerate(told) if n} == dict(wanted)
    assert tally.values == values
    assert tally.total == sum(len(each.action) for each in batches)
    for name in RULES:
        assert {(name, a): n for a, n in enumerate(tally.rules[name].outcomes.tolist()) if n} == {
            key: n for key, n in outcomes.items() if key[0] == name
        }
        assert (tally.rules[name].only, tally.rules[name].last_us) == (only[name], last[name])


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_scores_are_those_of_the_blocked_and_of_what_each_rule_fired_on(seed):
    random = Random(seed)
    batches = [batch(random) for _ in range(60)]
    whole = Tally()
    for start in range(0, 60, 7):
        whole.plus(Tally.restored(tally_of(batches[start : start + 7]).saved()))
    blocked, fired = [], {name: [] for name in RULES}
    for each in batches:
        amounts = [0.0] * len(each.action) if each.amounts is None else np.nan_to_num(each.amounts).tolist()
        known = {row: (p, a) for row, (p, a) in enumerate(zip(each.scores.tolist(), amounts, strict=True)) if not math.isnan(p)}
        blocked += [known[row] for row in known if each.action[row] == 3]
        for row, which in zip(each.fired[1].tolist(), each.fired[2].tolist(), strict=True) if each.fired else ():
            for name, held in zip(RULES, which, strict=True):
                fired[name] += [known[row]] if held and row in known else []
    for sums, rows in ((whole.blocked, blocked), *((whole.rules[name].scores, fired[name]) for name in RULES)):
        doubt = [p * (1 - p) for p, _ in rows]
        assert sums.tolist() == pytest.approx(
            [
                len(rows),
                sum(p for p, _ in rows),
                sum(doubt),
                sum(p * a for p, a in rows),
                sum(each * a * a for each, (_, a) in zip(doubt, rows, strict=True)),
            ]
        )


def test_a_tally_that_version_0_1_saved_comes_back_without_sums_of_scores():
    random = Random(5)
    whole = tally_of([batch(random) for _ in range(50)])
    *rest, rules, _ = whole.saved()
    found = Tally.restored([*rest, [rule[:4] for rule in rules]])
    assert (found.counts == whole.counts).all()
    assert (found.blocked.any(), {name: rule.scores.any() for name, rule in found.rules.items()}) == (
        False,
        dict.fromkeys(RULES, False),
    )


def test_quantiles_of_latencies_weigh_every_decision_and_are_within_5_percent():
    random = Random(1)
    batches = [batch(random) for _ in range(300)]
    tally = tally_of(batches)
    spent = sorted(ms for each in batches for ms in [each.latency_ms["models"]] * len(each.action))
    for share in (0.5, 0.9, 0.99):
        assert tally.quantile_ms("models", share) == pytest.approx(spent[math.ceil(share * len(spent)) - 1], rel=0.055)
    assert tally.quantile_ms("rules", 0.5) is None


def test_what_is_saved_comes_back_and_sums_of_parts_are_the_whole():
    random = Random(2)
    batches = [batch(random) for _ in range(50)]
    whole, parts = tally_of(batches), Tally()
    for start in range(0, 50, 7):
        parts.plus(Tally.restored(tally_of(batches[start : start + 7]).saved()))
    assert (parts.counts == whole.counts).all()
    assert parts.values == whole.values
    assert {name: (rule.outcomes.tolist(), rule.only, rule.last_us) for name, rule in parts.rules.items()} == {
        name: (rule.outcomes.tolist(), rule.only, rule.last_us) for name, rule in whole.rules.items()
    }


@pytest.mark.parametrize("range_", RANGES.values(), ids=list(RANGES))
def test_a_range_holds_its_buckets_and_forgets_what_is_older(range_):
    random, spread, now_us = Random(3), Distribution(0), 0
    told = []
    for step in range(4 * range_.buckets):
        now_us = step * range_.bucket_us // 2
        some = [batch(random)]
        spread.add(now_us, some)
        told.append((now_us, len(some[0].action)))
        if step % 7 == 0:
            again = Distribution(0)
            again.restore(spread.saved())
            spread = again
        assert spread.sum(range_, now_us).total == sum(n for at, n in told if at >= range_.start_us(now_us))
    assert len(spread.saved()[range_.name]) <= range_.buckets


def test_values_beyond_what_a_bucket_tells_apart_are_counted_as_others():
    many = [str(k) for k in range(5 * MOST_VALUES)]
    n = len(many)
    nothing = UncountedBatch(
        0, np.zeros(n, np.uint8), None, np.full(n, np.nan), np.zeros(n, np.int64), many, None, {"total": 1.0}
    )
    tally = Tally()
    tally.plus(tally_of([nothing]))
    assert sum(tally.values.values()) + tally.others.sum() == n
    assert len(tally.values) == 4 * MOST_VALUES
