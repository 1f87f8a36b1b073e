"""Rings with and without linked features: python evaluation/rings.py [ATTACK...] [--events N] [--quick] [--json].

Simulated traffic with one kind of ring, and the usual attacks. The detector of the package as it is; with counts of the shared
key (how many use it, how many frauds are known of it); and with linked features and rings, too: same models, same parts in
time. What counts is the last month: recall at 1 % false positives, of the ring's frauds and of all. Figures are means over
seeds, with what a seed gains at least and at most over the step before.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from _table import say, table

from penstock.features import Aggregate, Entity
from penstock.features.definitions import Added, describe
from penstock.offline.datasets import read
from penstock.offline.options import Options
from penstock.offline.simulate import attack_shares, simulate
from penstock.offline.train import run
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import profile_of

EVENTS, DAYS, TEST_DAYS = 180_000, 120, 30
FRAUDS, FALSE_POSITIVES, SEEDS = 0.02, 0.01, (1, 2, 3)


class Ring(NamedTuple):
    """Where a ring is looked for: a detector, what counts of single keys tell, and what links tell."""

    detector: str
    counts: Sequence[Aggregate]
    linked: Sequence[Aggregate]


def _counts(key: str, user: str) -> list[Aggregate]:
    shared = Entity(key)
    return [shared.count("30d"), shared.distinct(user, "30d"), shared.label_count("60d"), shared.label_count("60d", delay="7d")]


def _linked(entity: Entity, links: list[str], **options: str) -> list[Aggregate]:
    others = entity.linked(links, window="60d", **options)
    ring = entity.ring(links, window="30d", max_degree=10, **options)
    parts = [ring.distinct(link) for link in links]
    return [others, others.known_frauds(), others.share_of_frauds(), ring, ring.known_frauds(), ring.age(), *parts]


_user, _account = Entity("user_id"), Entity("account", roles={"sent": "nameOrig", "received": "nameDest"})
RINGS = {
    "quiet_farm": Ring("payments", _counts("device_id", "user_id"), _linked(_user, ["device_id"])),
    "synthetic_identities": Ring(
        "ecommerce",
        [*_counts("device_id", "user_id"), *_counts("ip_address", "user_id")],
        _linked(_user, ["device_id", "ip_address"]),
    ),
    "rotating_mules": Ring(
        "mobile_money",
        [_account.label_count("60d", role="received", at="received"), _account.label_count("60d", role="sent")],
        [
            *_linked(Entity("nameOrig", name="payer"), ["nameDest"], where="is_transfer"),
            *_linked(Entity("nameDest", name="payee"), ["nameOrig"], where="is_transfer"),
        ],
    ),
}


def evaluated(name: str, *, events: int, seeds: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Means over seeds of the figures without and with linked features, and the spread of what each step gains."""
    found = [judged(name, events=events, seed=seed) for seed in seeds]
    figures, before = {}, None
    for told in found[0]:
        each = [one[told] for one in found]
        figures[told] = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        figures[told] |= {key: sum(one[key] for one in each) for key in ("frauds", "members")}
        if before is not None:
            gains = [one["recall_of_ring"] - earlier["recall_of_ring"] for one, earlier in zip(each, before, strict=True)]
            figures[told]["gains"] = (min(gains), max(gains))
        before = each
    return figures


def judged(name: str, *, events: int, seed: int) -> dict[str, dict[str, Any]]:
    """The figures of one seed without and with linked features."""
    ring, profile = RINGS[name], profile_of(RINGS[name].detector)
    detector = load_detector(ring.detector)
    attacks = [*attack_shares(profile, None), name]
    frame = simulate(profile, events=events, seed=seed, days=DAYS, fraud_rate=FRAUDS, attacks=attacks)
    begin = frame[detector.time].min()
    wishes = Options(
        valid_from=begin + timedelta(days=60), test_from=begin + timedelta(days=DAYS - TEST_DAYS), refit=False, trials=0
    )
    found = {}
    ladder = {
        "its own features": [],
        "with counts of the shared key": ring.counts,
        "with linked features and rings": [*ring.counts, *ring.linked],
    }
    for told, features in ladder.items():
        added = [Added(each.name, describe(each)) for each in features]
        more = detector.with_features(added).with_inputs([*detector.plan.inputs, *(each.name for each in features)])
        trained = run(more, read(frame, more), wishes)
        test = trained.test
        kind = frame["attack"][test.row].to_numpy()
        found[told] = _recall(trained.scores.ensemble, test.fraud, kind == name)
        say(f"{name}, seed {seed}: {told}, recall {found[told]['recall_of_ring']:.3f} of {found[told]['members']}")
    return found


def _recall(score: np.ndarray, fraud: np.ndarray, in_ring: np.ndarray) -> dict[str, Any]:
    """Shares of frauds whose score is above that of all but 1 % of the good events."""
    honest = np.sort(score[fraud == 0])
    caught = score > honest[int(np.ceil(len(honest) * (1.0 - FALSE_POSITIVES))) - 1]
    members = in_ring & (fraud > 0)
    return {
        "frauds": int((fraud > 0).sum()),
        "members": int(members.sum()),
        "recall": float(caught[fraud > 0].mean()),
        "recall_of_ring": float(caught[members].mean()),
    }


COLUMNS = {
    "members": "of the ring",
    "recall_of_ring": "recall",
    "gains": "gain on the row above, least to most",
    "frauds": "all frauds",
    "recall": "recall of all",
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=list(RINGS), metavar="ATTACK", help=", ".join(RINGS))
    parser.add_argument("--events", type=int, default=EVENTS, help="of each seed")
    parser.add_argument("--quick", action="store_true", help="a quarter of the events, one seed")
    parser.add_argument("--json", action="store_true", help="one JSON value on standard output")
    given = parser.parse_args()
    seeds = SEEDS[:1] if given.quick else SEEDS
    events = given.events // (4 if given.quick else 1)
    results = {each: evaluated(each, events=events, seeds=seeds) for each in given.names}
    shown = json.dumps(results, indent=1) if given.json else "\n\n".join(table(*each, COLUMNS) for each in results.items())
    sys.stdout.write(shown + "\n")
