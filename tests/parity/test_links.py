"""Linked features against the naive oracle, bit for bit: in a batch, one by one, restarted and copied in the middle."""

import os
import subprocess
import sys
from datetime import datetime
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.codes import text_code
from penstock.detector import Detector
from penstock.features import Entity, Label
from penstock.features.kernel.words import KNOWN_KEYS, NO_KEYS
from penstock.features.link_plan import linked_role
from penstock.features.state import OPEN, Closed, FeatureState
from penstock.features.vocabulary import RINGS
from penstock.messages import Batch
from tests.parity.link_oracle import LinkOracle, RingOracle

SECOND, HOUR, DAY = 10**6, 3600 * 10**6, 86400 * 10**6
EXAMPLES = int(os.environ.get("PENSTOCK_KERNEL_EXAMPLES", "150"))
EVENTS = int(os.environ.get("PENSTOCK_LINKED_EVENTS", "1000000"))
WHERE = "amount < 50"
START = 10**15


class Payment(msgspec.Struct):
    """A payment from a device."""

    id: str
    at: datetime
    customer: str | None = None
    payee: str | None = None
    device: str | None = None
    ip: str | None = None
    pin: float | None = None
    amount: float | None = None
    fraud: bool | None = None


class Login(msgspec.Struct):
    """An informing event."""

    id: str
    at: datetime
    customer: str | None = None
    device: str | None = None


def _everything(links, **options) -> list:
    shared = ONE.linked(links, window="2d", **options)
    asked = [shared, shared.known_frauds(), shared.known_frauds(delay="6h"), shared.share_of_frauds(delay="1h"), shared.hubs()]
    return asked if isinstance(links, list) else [*asked, shared.amount("amount")]


ONE = Entity("customer")
TWO = Entity("account", roles={"sent": "customer", "received": "payee"})


def _ring(links, **options) -> list:
    ring = ONE.ring(links, **options)
    asked = [ring, ring.known_frauds(), ring.known_frauds(delay="6h"), ring.age()]
    return [*asked, *(ring.distinct(link) for link in ring.links)]


PLANS = {
    "one link": [*_everything("device", max_degree=2), ONE.linked("device", window="3h", max_degree=2)],
    "without the event": _everything("device", max_degree=3, current=False),
    "several links": [*_everything(["device", "ip", "pin"], max_degree=2), ONE.linked("ip", window="ever", max_degree=1)],
    "filtered": [
        *_everything("device", where=WHERE, max_degree=1),
        ONE.linked("device", window="1d", of=(Login,)),
        ONE.linked("device", window="1d", of=(Login, Payment)).amount("pin"),
    ],
    "a ring": [*_ring("device", window="2d", max_degree=2), *_ring("device", window="2d", max_degree=2, current=False)],
    "rings of several links": [*_ring(["device", "ip", "pin"], window="1d", max_degree=1), *_ring("ip", window="3h")],
    "rings filtered": [
        *_ring("device", window="1d", where=WHERE),
        *(each.named(f"any_{each.name}") for each in _ring("device", window="1d", of=(Login, Payment))),
        ONE.linked("device", window="1d"),
    ],
    "rings of roles": [
        TWO.ring("device", window="1d"),
        TWO.ring("device", window="1d", at="received").known_frauds(),
        TWO.ring("device", window="1d", role="received").known_frauds(delay="1h"),
    ],
    "roles": [
        TWO.linked("device", window="1d", max_degree=2),
        TWO.linked("device", window="1d", max_degree=2, at="received").known_frauds(),
        TWO.linked("device", window="1d", role="received").amount("amount"),
    ],
}


def _detector(features) -> Detector:
    return Detector(
        "links",
        event=Payment,
        id="id",
        time="at",
        informs=[Login],
        label=Label("fraud"),
        features=list(features),
        lateness="1d",
    )


events = st.fixed_dictionaries(
    {
        "gap": st.sampled_from([0, 0, SECOND, HOUR, 7 * HOUR, DAY]),
        "late": st.sampled_from([0, 0, 0, 3 * SECOND, 2 * HOUR, 20 * HOUR, 3 * DAY, -HOUR, -2 * DAY]),
        "kind": st.sampled_from([None, None, None, Login]),
        "customer": st.sampled_from("aabbcdef") | st.none(),
        "payee": st.sampled_from("abxy") | st.none(),
        "device": st.sampled_from("ppqrs") | st.none(),
        "ip": st.sampled_from("uuv") | st.none(),
        "pin": st.sampled_from([None, 1.0, 2.0, -0.0, 0.0]),
        "amount": st.sampled_from([None, 10.25, 40.0, 99.99]),
        "label": st.sampled_from([None, None, 0, 2, 9]),
        "retracted": st.booleans(),
    }
)


class _Stream:
    """Events as columns with the labels that arrive between them, and the features that the oracle expects."""

    def __init__(self, detector: Detector, stream: list[dict]) -> None:
        self.detector, self.events, now = detector, [], START
        layout = detector.plan.layout
        for item in stream:
            now += item["gap"]
            self.events.append({**item, "time": now - item["late"], "arrived": now, f"where:{WHERE}": _small(item["amount"])})
        n = len(self.events)
        self.labels: dict[int, list[tuple[int, int]]] = {}
        for i, event in enumerate(self.events):
            if event["label"] is not None and event["kind"] is None and event["late"] >= -DAY:
                at = min(i + 1 + event["label"], n)
                self.labels.setdefault(at, []).append((i, 1))
                if event["retracted"]:
                    self.labels.setdefault(min(at + 3, n), []).append((i, -1))
        self.times = np.array([e["time"] for e in self.events], np.int64)
        self.arrived = np.array([e["arrived"] for e in self.events], np.int64)
        self.kinds = np.array([0 if e["kind"] is None else 1 for e in self.events], np.uint8)
        self.x = np.full((n, layout.width), np.nan)
        self.codes = np.zeros((n, layout.text_width), np.int64)
        for i, event in enumerate(self.events):
            for name in ("customer", "payee", "device", "ip"):
                self.codes[i, layout[name].index] = text_code(event[name]) if event[name] else 0
            for name in ("pin", "amount", *(name for name in layout if name.startswith("where:"))):
                self.x[i, layout[name].index] = np.nan if event[name] is None else event[name]

    def batch(self, start: int, stop: int) -> Batch:
        s = slice(start, stop)
        ids = [str(i) for i in range(start, stop)]
        return Batch(ids, self.kinds[s], self.times[s], self.arrived[s], self.x[s], self.codes[s], {})

    def run(self, state: FeatureState, cuts: set[int], between=None) -> FeatureState:
        """Feed the events in pieces that end at `cuts` and where labels arrive; between: may replace the state there."""
        start, n = 0, len(self.events)
        for end in sorted({*cuts, *self.labels, n}):
            if end > start:
                state.apply(self.batch(start, end), start)
            for of, change in self.labels.get(end, ()):
                state.label(self.batch(of, of + 1), 0, of, change)
            start = end
            state = between(end, state) if between is not None else state
        return state

    def expected(self) -> list[dict]:
        """What the oracle says, of all tables of links together."""
        found: list[dict] = [{} for _ in self.events]
        groups: dict[str | None, list] = {}
        rings: dict[str | None, list] = {}
        for f in self.detector.features:
            (rings if f.kind in RINGS else groups).setdefault(linked_role(f), []).append(f)
        for role, features in groups.items():
            oracle, clock = LinkOracle(features, role, Payment, 5 * SECOND, DAY), 0
            for i, e in enumerate(self.events):
                for of, change in self.labels.get(i, ()):
                    oracle.label(_keys(self.events[of])[role], self.events[of]["time"], change)
                clock = max(clock, min(e["time"], e["arrived"]))
                answers = oracle.event(e["time"], e["kind"] or Payment, _keys(e), e, clock, e["late"] >= -DAY)
                found[i] |= {} if e["kind"] else answers
        for role, features in rings.items():
            ring = RingOracle(features, role, Payment, DAY)
            for i, e in enumerate(self.events):
                for of, change in self.labels.get(i, ()):
                    ring.label(_keys(self.events[of])[role], self.events[of]["time"], change)
                answers = ring.event(e["time"], e["arrived"], e["kind"] or Payment, _keys(e), e, e["late"] >= -DAY)
                found[i] |= {} if e["kind"] else answers
        return found


def _keys(event: dict) -> dict[str | None, str | None]:
    return {None: event["customer"], "sent": event["customer"], "received": event["payee"]}


def _small(amount: float | None) -> bool | None:
    return None if amount is None else amount < 50


def _assert_same(stream: _Stream, expected: list[dict]) -> None:
    layout = stream.detector.plan.layout
    for i, row in enumerate(expected):
        for name, value in row.items():
            found = stream.x[i, layout[name].index]
            assert (None if np.isnan(found) else float(found)) == value, (i, name, stream.events[i])


@pytest.mark.parametrize("name", PLANS)
def test_links_in_a_batch_one_by_one_and_restarted_are_those_of_the_definition(name: str) -> None:
    """Whatever the stream and however it is cut: late events, ties, labels that are taken back, hubs on both sides."""
    detector = _detector(PLANS[name])

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.lists(events, max_size=40), st.integers(0, 40), st.integers(0, 40))
    def check(stream, cut, later) -> None:
        batch = _Stream(detector, stream)
        state = batch.run(detector.state(), set())
        _assert_same(batch, batch.expected())

        single = _Stream(detector, stream)
        alone = single.run(detector.state(), set(range(len(stream))))
        np.testing.assert_array_equal(single.x, batch.x)
        assert alone.digest() == state.digest()

        copied = _Stream(detector, stream)
        copies = _Copies(detector, cut, later)
        loaded = copied.run(detector.state(), {min(cut, len(stream)), min(later, len(stream))}, copies)
        np.testing.assert_array_equal(copied.x, batch.x)
        assert loaded.digest() == state.digest()

    check()


class _Copies:
    """Begins a copy of the state before one event, takes its parts while more events come, and checks it at another."""

    def __init__(self, detector: Detector, begin: int, end: int) -> None:
        self.detector, self.begin, self.end = detector, min(begin, end), max(begin, end)
        self.digest: str | None = None

    def __call__(self, at: int, state: FeatureState) -> FeatureState:
        """The state to go on with: at the end a fresh one, made from a whole copy."""
        if at >= self.begin and self.digest is None:
            self.digest, self.clocks = state.digest(), (state.clock_us, state.pace_us)
            self.copy, self.parts = iter(state.copy()), {}
        elif self.digest is not None:
            self.parts |= dict(islice(self.copy, 1))
        if at < self.end or self.digest is None:
            return state
        self.parts |= dict(self.copy)
        self.end = 1 << 62
        earlier, whole = self.detector.state(), self.detector.state()
        earlier.load(self.parts, {}, *self.clocks)
        assert earlier.digest() == self.digest
        whole.load(dict(state.copy()), {}, state.clock_us, state.pace_us)
        assert whole.digest() == state.digest()
        return whole


def _busy(events: int, seed: int) -> list[dict]:
    """Customers with devices that are mostly their own, cafés that many share, expiry, and late events."""
    rng, stream = np.random.default_rng(seed), []
    people = max(events // 33, 50)
    for home in rng.integers(0, people, events).tolist():
        shared, late = rng.random(), rng.random()
        stream.append(
            {
                "gap": int(rng.integers(0, 10)) * SECOND,
                "late": int(rng.integers(0, 30 * 3600)) * SECOND if late < 0.04 else 0,
                "kind": None,
                "customer": f"c{home}",
                "payee": None,
                "device": f"d{home}" if shared < 0.7 else f"d{rng.integers(0, people)}" if shared < 0.998 else "café",
                "ip": f"i{home // 3}" if shared < 0.9 else None,
                "pin": None,
                "amount": float(np.round(rng.lognormal(3, 1), 2)),
                "label": int(rng.integers(0, 2000)) if rng.random() < 0.01 else None,
                "retracted": bool(rng.random() < 0.2),
            }
        )
    return stream


def _check_busy(events: int) -> None:
    shared, either = ONE.linked("device", window="3h", max_degree=8), ONE.linked(["device", "ip"], window="3h", max_degree=20)
    features = [
        shared,
        shared.known_frauds(delay="1h"),
        shared.amount("amount"),
        shared.hubs(),
        either,
        either.share_of_frauds(),
    ]
    stream = _Stream(_detector(features), _busy(events, 3))
    state = stream.run(stream.detector.state(), set(range(0, events, 4096)))
    _assert_same(stream, stream.expected())
    assert state.links[0].counts()["late"] > 0


def test_busy_links_are_those_of_the_definition() -> None:
    """Rings that fill up and are cleared, and values that are hubs at times."""
    _check_busy(6_000)


@pytest.mark.slow
def test_a_long_stream_is_linked_as_defined() -> None:
    """With expiry, late events, hubs and labels that are taken back."""
    _check_busy(EVENTS)


@pytest.mark.parametrize("plan", ["several links", "rings of several links"])
def test_a_dry_run_links_nothing(plan: str) -> None:
    """Reading without writing gives what writing would, and leaves the state as it is."""
    stream = _Stream(_detector(PLANS[plan]), _busy(300, 5))
    state = stream.detector.state()
    for i in range(300):
        asked = stream.batch(i, i + 1)
        asked.x = asked.x.copy()
        before = state.digest()
        state.apply(asked, i, write=False)
        assert state.digest() == before
        state.apply(stream.batch(i, i + 1), i)
        np.testing.assert_array_equal(asked.x, stream.x[i : i + 1])


@pytest.mark.parametrize("feature", [ONE.linked("device", window="1d"), ONE.ring("device", window="1d")])
def test_links_count_in_the_memory_budget(feature) -> None:
    """Where it is used up, what is new is turned away and says so; the same admission leads to the same state."""
    stream = _Stream(_detector([feature]), _busy(2_000, 7))
    state, again = stream.detector.state(memory_limit=1 << 30), stream.detector.state()
    state.apply(stream.batch(0, 100), 0)
    used = state.used_bytes
    refused = state.apply(stream.batch(100, 1_000), 100, closed=Closed(0, KNOWN_KEYS))
    assert refused.any()
    assert not refused.all()
    assert state.apply(stream.batch(1_000, 1_500), 1_000, closed=Closed(0, NO_KEYS)).mean() > 0.9  # the others were too late
    state.memory_limit = used
    assert state.full is not None
    for start, stop, closed in ((0, 100, OPEN), (100, 1_000, Closed(0, KNOWN_KEYS)), (1_000, 1_500, Closed(0, NO_KEYS))):
        again.apply(stream.batch(start, stop), start, closed=closed)
    assert again.digest() == state.digest()


@pytest.mark.parametrize("feature", [ONE.linked("device", window="1h"), ONE.ring("device", window="1h")])
def test_what_nobody_can_ask_about_is_given_back(feature) -> None:
    """A stream of keys that come once needs no more memory after many windows than after some."""
    stream = _Stream(_detector([feature]), _busy(40, 9))
    state, used = stream.detector.state(), []
    layout = stream.detector.plan.layout
    for turn in range(300):
        batch = stream.batch(0, 40)
        batch.time_us = batch.arrived_us = np.full(40, START + turn * HOUR, np.int64)
        for name in ("customer", "device"):
            batch.codes[:, layout[name].index] = [text_code(f"{name} {turn} {i}") for i in range(40)]
        state.apply(batch, turn * 40)
        used.append(state.used_bytes)
    assert max(used[200:]) <= 1.1 * max(used[50:100])


def _pairs(seen: list[tuple[str, str]], **options) -> np.ndarray:
    """The size of the ring of each customer that is seen with a device, a second apart."""
    event = dict.fromkeys(("kind", "payee", "ip", "pin", "amount", "label"))
    events = [{**event, "gap": SECOND, "late": 0, "customer": who, "device": what, "retracted": False} for who, what in seen]
    stream = _Stream(_detector([ONE.ring("device", window="1d", **options).named("size")]), events)
    stream.run(stream.detector.state(), set())
    return stream.x[:, stream.detector.plan.layout["size"].index]


def test_a_ring_is_connected_over_many_steps() -> None:
    """Accounts that each share a device with the next one are one ring, whose ends have nothing in common."""
    chain = [(f"c{i}", f"d{i + step}") for i in range(40) for step in (0, 1)]
    assert _pairs(chain).tolist() == [float(1 + i) for i in range(40) for _ in (0, 1)]


def test_a_hub_connects_no_more_than_its_degree_and_a_ring_has_a_thousand_keys_at_most() -> None:
    """Who comes later is not in the ring."""
    visitors = [(f"c{i}", "café") for i in range(1_010)]
    assert _pairs(visitors, max_degree=5).tolist() == [*map(float, range(1, 7)), *[1.0] * 1_004]
    assert _pairs(visitors, max_degree=1000).tolist() == [*map(float, range(1, 1_001)), *[1.0] * 10]


def test_a_copy_of_rings_is_of_its_moment_whatever_happens_meanwhile() -> None:
    """Epochs that end, nodes that move and labels that come while it is taken do not show."""
    detector = _detector(PLANS["rings of several links"])
    stream = _Stream(detector, _busy(9_000, 11))
    state = stream.detector.state()
    stream.run(state, set())
    later = _Stream(detector, [{**event, "gap": 2 * event["gap"]} for event in _busy(9_000, 11)])
    later.times += stream.arrived[-1] - START
    later.arrived += stream.arrived[-1] - START
    digest, clocks, copy, parts = state.digest(), (state.clock_us, state.pace_us), iter(state.copy()), {}
    for at in range(0, 9_000, 500):
        parts |= dict(islice(copy, 1))
        state.apply(later.batch(at, at + 500), at)
        state.label(later.batch(at, at + 1), 0, at, 1)
    loaded = detector.state()
    loaded.load(parts | dict(copy), {}, *clocks)
    assert loaded.digest() == digest


OVERFLOWS = "ignore:overflow encountered:RuntimeWarning"


def _rerun(tmp_path: Path, **environment: str) -> None:
    """This file's own tests in a new interpreter."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-W", OVERFLOWS, __file__, "-k", "definition"]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_links_run_as_plain_python(tmp_path: Path) -> None:
    """The same suite without compilation, where numpy itself checks bounds and overflow."""
    _rerun(tmp_path, NUMBA_DISABLE_JIT="1", PENSTOCK_KERNEL_EXAMPLES="30")


@pytest.mark.slow
@pytest.mark.repeats  # numpy checks the same in the test before
def test_links_stay_within_their_arrays(tmp_path: Path) -> None:
    """The same suite compiled with bounds checking."""
    _rerun(tmp_path, NUMBA_BOUNDSCHECK="1", PENSTOCK_KERNEL_EXAMPLES="40")
