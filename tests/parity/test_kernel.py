"""The kernel against the naive oracle, bit for bit: in a batch, one by one, restarted in the middle."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.features import Entity
from penstock.features.compiled import store
from penstock.features.compiled.build import compile_source
from penstock.features.compiled.source import function_of
from penstock.features.kernel.words import AT_HAND
from penstock.features.plan import Stream, compile_entity
from penstock.features.table import Table
from penstock.messages import Layout, Type
from tests.parity.oracle import LABEL_KNOWN, Oracle

SECOND, DAY = 10**6, 86400 * 10**6
SKEW, LATENESS = 5 * SECOND, DAY
EXAMPLES = int(os.environ.get("PENSTOCK_KERNEL_EXAMPLES", "150"))


class Decline:
    """An informing event."""


KINDS = {None: 0, Decline: 1}
FIELDS = {"amount": Type.NUMBER, "city": Type.TEXT, "rare": Type.NUMBER}
WHERE = "amount < 5"


def _windowed(e: Entity, **options) -> list:
    return [
        e.count("1h", **options),
        e.count("7d", where=WHERE, **options),
        e.sum("amount", "24h", **options),
        e.mean("rare", "30d", **options),
        e.std("amount", "7d", **options),
        e.min("amount", "24h", **options),
        e.max("rare", "ever", **options),
        e.distinct("city", "24h", **options),
        e.distinct("amount", "7d", where=WHERE, **options),
        e.sum("amount", "ever", **options),
        e.std("rare", "ever", **options),
        e.distinct("city", "ever", **options),
    ]


def _remembering(e: Entity) -> list:
    return [
        e.last("city"),
        e.last("rare"),
        e.last("amount", "1h"),
        e.first("city"),
        e.since_last(),
        e.since_first(),
        e.since_last("24h", of=Decline),
        e.last("amount", where=WHERE),
    ]


def _delayed(e: Entity) -> list:
    return [
        e.count("7d", delay="7d"),
        e.label_rate("7d", delay="7d"),
        e.label_count("24h"),
        e.distinct("city", "24h", delay="1h"),
        e.max("amount", "7d", delay="1h"),
        e.label_count("ever"),
        e.label_rate("ever", where=WHERE),
        e.label_count("30d", by="known"),
    ]


def _scanning(e: Entity, **options) -> list:
    return [
        e.median("amount", "24h", **options),
        e.median("rare", "7d", most=3, **options),
        e.quantile("rare", "7d", q=0.9, **options),
        e.quantile("amount", "7d", q=1 / 3, where=WHERE, most=2, **options),
        e.mode("city", "7d", **options),
        e.mode("city", "24h", where=WHERE, most=3, **options),
        e.mode("amount", "7d", **options),
        e.share_of_top("city", "7d", most=4, **options),
        e.entropy("city", "24h", **options),
        e.entropy("rare", "7d", **options),
        e.max("rare", "7d", **options),
        e.std("rare", "7d", **options),
    ]


def _approximating(e: Entity, **options) -> list:
    return [
        e.approx_quantile("amount", "24h", q=0.5, **options),
        e.approx_quantile("amount", "24h", q=0.9, **options),
        e.approx_quantile("rare", "7d", q=0.25, **options),
        e.approx_quantile("rare", "7d", q=1, where=WHERE, **options),
    ]


def _sessions(e: Entity) -> list:
    return [
        e.session_count("30m"),
        e.session_sum("amount", "30m"),
        e.session_duration("30m"),
        e.session_count("1s", where=WHERE),
        e.session_sum("rare", "24h"),
        e.session_duration("24h", current=False),
        e.session_count("1h", current=False, of=(Decline,)),
    ]


ONE = Entity("customer")
TWO = Entity("account", roles={"sent": "origin", "received": "target"})
PLANS = {
    "windows": (ONE, _windowed(ONE)),
    "windows before": (ONE, _windowed(ONE, current=False)),
    "remembered": (ONE, [*_remembering(ONE), ONE.count("1h", of=(Decline,)), ONE.count("24h", of=(Decline,))]),
    "delayed and labelled": (ONE, _delayed(ONE)),
    "totals only": (
        ONE,
        [ONE.count("1h"), ONE.sum("amount", "24h"), ONE.std("rare", "7d"), ONE.max("amount", "7d", current=False)],
    ),
    "last within a day": (ONE, [ONE.last("city", "24h"), ONE.count("1h")]),
    "for ever alone": (
        ONE,
        [
            ONE.count("ever"),
            ONE.sum("amount", "ever", current=False),
            ONE.min("rare", "ever"),
            ONE.distinct("city", "ever"),
            ONE.label_count("ever"),
            ONE.label_rate("ever", where=WHERE),
            *_remembering(ONE)[:6],
        ],
    ),
    "scanned": (ONE, _scanning(ONE)),
    "scanned before": (ONE, [*_scanning(ONE, current=False), ONE.count("1h", of=Decline), ONE.distinct("city", "24h")]),
    "scanned late": (ONE, [*_scanning(ONE, delay="1h"), ONE.median("amount", "24h")]),
    "approximate": (ONE, [*_approximating(ONE), *_approximating(ONE, current=False), ONE.label_count("24h")]),
    "approximate late": (ONE, [*_approximating(ONE, delay="1h"), ONE.approx_quantile("amount", "1s", q=0.5)]),
    "sessions": (ONE, _sessions(ONE)),
    "sessions alone": (ONE, [ONE.session_count("30m"), ONE.session_sum("rare", "1s")]),
    "sessions for ever": (ONE, [*_sessions(ONE), ONE.count("ever"), ONE.median("amount", "7d"), ONE.label_rate("7d")]),
    "known alone": (ONE, [ONE.label_count("30d", by="known"), ONE.label_count("ever", by="known")]),
    "roles": (
        TWO,
        [
            TWO.count("24h"),
            TWO.sum("amount", "24h", role="received"),
            TWO.sum("amount", "24h", role="sent", at="received"),
            TWO.distinct("city", "7d", role="received", at="received"),
            TWO.last("amount", role="received"),
            TWO.min("amount", "7d", role="sent"),
            TWO.label_count("7d", role="received", at="received"),
            TWO.label_count("ever", role="received"),
            TWO.label_count("ever", by="known", role="sent", at="received"),
            TWO.median("amount", "7d", role="received", at="received"),
            TWO.approx_quantile("amount", "24h", q=0.7, role="received", at="received"),
            TWO.mode("city", "24h", role="sent"),
            TWO.entropy("city", "7d"),
            TWO.session_count("1h", role="received", at="received"),
            TWO.session_sum("amount", "24h"),
        ],
    ),
}


TIERS = pytest.mark.parametrize("own", [False, True], ids=["table-driven", "compiled"])
"""Whether the plan's own function runs, or the table-driven kernel."""


def _use_own(table: Table) -> None:
    text = function_of(table.plan.plan)
    if not store.address_of(text):
        compile_source(text)
    table.use(store.address_of(text))


def _compile(entity, features, *, own: bool = False) -> tuple[Table, Layout]:
    layout = Layout()
    for name, type_ in FIELDS.items():
        layout.add(name, type_)
    for field in entity.fields:
        layout.add(field, Type.TEXT)
    where = layout.add(f"where:{WHERE}", Type.BOOLEAN)
    for f in features:
        layout.add(f.name, FIELDS[f.field] if f.kind in ("last", "first", "mode") else Type.NUMBER)
    stream = Stream(SKEW, LATENESS, KINDS, 2, {WHERE: where}, frozenset({"amount"}), {})
    table = Table(compile_entity(entity, features, layout, stream))
    table.state.meta[AT_HAND] = 0  # small as it is, memory is asked for ahead
    if own:
        _use_own(table)
    return table, layout


gaps = st.sampled_from(
    [0, 0, 0, 1, SECOND, 3 * SECOND, 60 * SECOND, 3600 * SECOND, 3601 * SECOND, DAY, 3 * DAY, 8 * DAY, 45 * DAY]
)
jitter = st.sampled_from([0, 0, 0, 0, -SECOND, -2 * SECOND, 4 * SECOND, -5 * SECOND, -3600 * SECOND, -DAY, -DAY - 1, -20 * DAY])
amounts = st.sampled_from([0.0, -0.0, 1.5, 4.99, 5.0, 10.0, -3.25, -3.25 - 1e-12, 1e-6, 1e-9, 0.1, 0.1 + 2e-8, 123456.789, 9e9])
events = st.fixed_dictionaries(
    {
        "gap": gaps,
        "jitter": jitter,
        "kind": st.sampled_from([None, None, None, Decline]),
        "keys": st.tuples(st.sampled_from(["a", "a", "a", "b", None]), st.sampled_from(["a", "b", "c"])),
        "amount": amounts,
        "rare": st.one_of(st.none(), amounts),
        "city": st.sampled_from([None, "x", "x", "y", "z"]),
        "keep": st.sampled_from([True] * 9 + [False]),
        "label": st.sampled_from([None, None, None, 0, 1, 5, 20]),
    }
)


class _Rows:
    """A stream as columns, and the labels that arrive between its rows: (before row, of row, change)."""

    def __init__(self, stream: list[dict], entity, features, layout) -> None:
        self.entity, self.layout, self.n = entity, layout, 0
        self.stream = []
        self.labels: list[tuple[int, int, int]] = []
        now = 10**15
        for item in stream:
            now += item["gap"]
            event = {**item, "time": now + item["jitter"]}
            if event["kind"] is None:
                event[f"where:{WHERE}"] = event["amount"] < 5
            else:
                event[f"where:{WHERE}"] = event["amount"] < 5
            self.stream.append(event)
        known = [f for f in features if f.by == "known"]
        rows = []
        for i, event in enumerate(self.stream):
            rows.append((i, event))
        self.events = [event for _, event in rows]
        for i, event in enumerate(self.events):
            if event["label"] is not None and event["kind"] is None and event["keep"]:
                at = min(i + 1 + event["label"], len(self.events))
                self.labels.append((at, i, 1))
        if known:
            self._insert_known()
        self.n = len(self.events)
        self._columns()

    def _insert_known(self) -> None:
        """Labels that become known are events of their own for windows over the time known."""
        extra: dict[int, list[dict]] = {}
        for at, of, _ in self.labels:
            time = self.events[at - 1]["time"]
            extra.setdefault(at, []).append({**self.events[of], "kind": LABEL_KNOWN, "time": time, "of": of, "label": None})
        merged, moved = [], {}
        for i, event in enumerate([*self.events, None]):
            merged.extend(extra.get(i, []))
            moved[i] = len(merged)
            if event is not None:
                merged.append(event)
        self.labels = [(moved[at], moved[of], change) for at, of, change in self.labels]
        self.events = [{**event, "of": moved[event["of"]]} if "of" in event else event for event in merged]

    def _columns(self) -> None:
        n, layout = self.n, self.layout
        self.times = np.array([e["time"] for e in self.events], np.int64)
        self.kinds = np.array([2 if e["kind"] == LABEL_KNOWN else KINDS[e["kind"]] for e in self.events], np.uint8)
        self.keep = np.array([e["keep"] for e in self.events], np.bool_)
        self.clocks = np.maximum.accumulate(np.where(self.keep, self.times, 0))
        self.codes = np.zeros((n, layout.text_width), np.int64)
        self.x = np.full((n, layout.width), np.nan)
        for i, e in enumerate(self.events):
            for name in ("amount", "rare"):
                self.x[i, layout[name].index] = np.nan if e[name] is None else e[name]
            self.x[i, layout[f"where:{WHERE}"].index] = e[f"where:{WHERE}"]
            self.codes[i, layout["city"].index] = _code(e["city"])
        roles = len(self.entity.keys)
        self.keys = np.array([[_code(key) for key in e["keys"][:roles]] for e in self.events], np.int64).reshape(n, roles)

    def run(self, table: Table, cuts: list[int], swaps: Mapping[int, bool] = MappingProxyType({})) -> None:
        """Feed the rows in pieces that end at `cuts` and wherever labels arrive.

        swaps: before which rows the table goes on with its own function, or with the table-driven kernel.
        """
        labels = sorted(self.labels, key=lambda label: label[0])
        start = 0
        for end in sorted({*cuts, *(at for at, _, _ in labels), *(at for at in self.alone() if at < self.n), self.n}):
            self.apply(table, start, end)
            self.tell(table, labels, end)
            start = end
            if swaps.get(start):
                _use_own(table)
            elif start in swaps:
                table.use(0)

    def alone(self) -> set[int]:
        """The bounds of labels that enter state as events: each comes alone, with the sequence number of its event."""
        return {i + side for i, event in enumerate(self.events) if "of" in event for side in (0, 1)}

    def apply(self, table: Table, start: int, end: int) -> None:
        """Some rows in order."""
        if start < end:
            s, first = slice(start, end), self.events[start].get("of", start)
            columns = self.keys[s], self.kinds[s], self.times[s], self.clocks[s], self.keep[s]
            table.apply(*columns, first, self.x[s], self.codes[s])

    def tell(self, table: Table, labels: list[tuple[int, int, int]], end: int) -> None:
        """The labels that arrive before a row."""
        for _, of, change in (label for label in labels if label[0] == end):
            table.label(self.keys[of].tolist(), int(self.times[of]), of, int(self.kinds[of]), self.x, of, change)


def _code(text: str | None) -> int:
    return 0 if text is None else 1000 + ord(text)


def _oracle_features(rows: _Rows, entity, features) -> list[dict]:
    oracle = Oracle(entity, features, SKEW, LATENESS)
    roles = len(entity.keys)
    out = []
    for i, e in enumerate(rows.events):
        for _, of, change in (label for label in rows.labels if label[0] == i):
            oracle.label(of, rows.events[of]["keys"][:roles], change)
        out.append(oracle.event(e["time"], e.get("of", i), e["kind"], e["keys"][:roles], e, int(rows.clocks[i]), e["keep"]))
    return out


def _found(rows: _Rows, layout: Layout, f, i: int):
    column = layout[f.name]
    if column.type is Type.TEXT:
        return {0: None, **{_code(t): t for t in "xyz"}}[int(rows.codes[i, column.index])]
    value = rows.x[i, column.index]
    return None if np.isnan(value) else float(value)


def _assert_same(rows: _Rows, layout: Layout, features, expected: list[dict]) -> None:
    for i, row in enumerate(expected):
        for f in features:
            assert _found(rows, layout, f, i) == row.get(f.name), (i, f.name, rows.events[i])


@TIERS
@pytest.mark.parametrize("name", PLANS)
def test_batch_single_restart_and_oracle_agree_to_the_last_bit(name: str, own: bool) -> None:
    """Whatever the stream and however it is cut, every feature is what its definition says."""
    entity, features = PLANS[name]

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.lists(events, max_size=40), st.integers(0, 40))
    def check(stream, cut) -> None:
        table, layout = _compile(entity, features, own=own)
        batch = _Rows(stream, entity, features, layout)
        batch.run(table, [])
        _assert_same(batch, layout, features, _oracle_features(batch, entity, features))

        single, _ = _compile(entity, features, own=own)
        one_by_one = _Rows(stream, entity, features, layout)
        one_by_one.run(single, list(range(batch.n)))
        np.testing.assert_array_equal(one_by_one.x, batch.x)
        np.testing.assert_array_equal(one_by_one.codes, batch.codes)
        clock = batch.clocks[-1] if batch.n else 0
        assert single.digest(clock) == table.digest(clock)

        saved, _ = _compile(entity, features, own=own)
        restarted = _Rows(stream, entity, features, layout)
        _run_with_restart(restarted, saved, min(cut, batch.n), entity, features)
        np.testing.assert_array_equal(restarted.x, batch.x)

    check()


@TIERS
def test_what_a_late_event_lets_go_of_has_been_counted(own: bool):
    """The newest time of a key moves by an event that no feature takes in; a late event comes, then one that is too late."""
    base = {"gap": 0, "jitter": 0, "kind": None, "amount": 0.0, "rare": None, "city": None, "keep": True, "label": None}
    stream = [{**base, "keys": ("a", "a")}] * 9
    stream += [
        {**base, "keys": ("b", "a"), **more}
        for more in (
            {"kind": Decline},
            {"city": "x", "jitter": -DAY},
            {"gap": DAY, "jitter": -20 * DAY},
            {"gap": 3601 * SECOND},
        )
    ]
    entity, features = PLANS["for ever alone"]
    for looked_at in (False, True):
        table, layout = _compile(entity, features, own=own)
        rows = _Rows(stream, entity, features, layout)
        for end in range(1, rows.n + 1):
            rows.apply(table, end - 1, end)
            if looked_at:
                table.digest(int(rows.clocks[end - 1]))
        _assert_same(rows, layout, features, _oracle_features(rows, entity, features))


@TIERS
def test_an_event_as_late_as_may_be_belongs_to_what_is_held_as_a_whole(own: bool) -> None:
    """What comes too late then sees nothing of it, because a part of it is later."""
    base = {"kind": None, "amount": 1.0, "rare": 1.0, "city": "x", "keep": True, "label": None, "keys": ("a", "a")}
    steps = [(0, 0)] * 3 + [(16 * DAY, 0), (0, 0), (0, -LATENESS), (8 * DAY, -20 * DAY), (0, 0)]
    entity, features = PLANS["for ever alone"]
    table, layout = _compile(entity, features, own=own)
    rows = _Rows([{**base, "gap": gap, "jitter": jitter} for gap, jitter in steps], entity, features, layout)
    rows.run(table, [])
    _assert_same(rows, layout, features, _oracle_features(rows, entity, features))
    assert rows.x[6, layout["customer_count_ever"].index] == 1.0


@pytest.mark.parametrize("name", PLANS)
def test_the_tiers_take_over_from_each_other_between_any_two_batches(name: str) -> None:
    """Whenever functions are put in place, or taken away: the same features and the same state, and as if all came at once."""
    entity, features = PLANS[name]

    @settings(max_examples=EXAMPLES // 3, deadline=None)
    @given(st.lists(events, max_size=60), st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=12))
    def check(stream, swaps) -> None:
        table, layout = _compile(entity, features)
        rows = _Rows(stream, entity, features, layout)
        rows.run(table, [])
        swapped, _ = _compile(entity, features, own=True)
        again = _Rows(stream, entity, features, layout)
        again.run(swapped, [at for at, _ in swaps if at < again.n], swaps=dict(swaps))
        np.testing.assert_array_equal(again.x.view(np.int64), rows.x.view(np.int64))
        np.testing.assert_array_equal(again.codes, rows.codes)
        clock = rows.clocks[-1] if rows.n else 0
        assert swapped.digest(clock) == table.digest(clock)
        assert swapped.counts() == table.counts()

    check()


def _run_with_restart(rows: _Rows, table: Table, cut: int, entity, features) -> None:
    """Run to `cut`, save, load into a new table, and go on; the labels of the cut itself come after the restart."""
    labels, n = rows.labels, rows.n
    rows.labels = [label for label in labels if label[0] < cut]
    rows.n = cut
    rows.run(table, [])
    fresh, _ = _compile(entity, features, own=table.is_compiled)
    fresh.load(table.arrays())
    rows.n = n
    start = cut
    later = sorted((label for label in labels if label[0] >= cut), key=lambda label: label[0])
    for end in sorted({*(at for at, _, _ in later), *(at for at in rows.alone() if at > cut), n}):
        rows.apply(fresh, start, end)
        rows.tell(fresh, later, end)
        start = end


@pytest.mark.slow
@TIERS
@pytest.mark.parametrize("name", ["delayed and labelled", "windows", "totals only", "scanned", "approximate", "sessions"])
def test_a_hot_key_with_late_events_matches_the_oracle(name: str, own: bool) -> None:
    """Rings that grow, shrink and shift, with block summaries of several levels."""
    entity, features = PLANS[name]
    rng = np.random.default_rng(7)
    stream = []
    for i in range(700 if EXAMPLES > 50 else 120):
        late = rng.random() < 0.05
        stream.append(
            {
                "gap": int(rng.integers(0, 60)) * SECOND if i % 400 else 2 * DAY,
                "jitter": -int(rng.integers(0, 20 * 3600)) * SECOND if late else int(rng.integers(-2, 3)) * SECOND,
                "kind": None,
                "keys": ("a", "a"),
                "amount": float(np.round(rng.lognormal(3, 1), 2)),
                "rare": None if rng.random() < 0.5 else float(np.round(rng.normal(0, 100), 6)),
                "city": str(rng.choice(["x", "y", "z"])),
                "keep": True,
                "label": int(rng.integers(0, 300)) if rng.random() < 0.2 else None,
            }
        )
    table, layout = _compile(entity, features, own=own)
    rows = _Rows(stream, entity, features, layout)
    rows.run(table, [])
    _assert_same(rows, layout, features, _oracle_features(rows, entity, features))


@TIERS
def test_a_dry_run_changes_nothing(own: bool) -> None:
    """Reading without writing leaves the digest and all later features as they are."""
    entity, features = PLANS["windows"]
    rng = np.random.default_rng(3)
    stream = [
        {"gap": int(g), "jitter": 0, "kind": None, "keys": (str(rng.choice(["a", "b"])), "a"), "amount": float(i), "rare": None,
         "city": "x", "keep": True, "label": None}
        for i, g in enumerate(rng.integers(0, DAY, 60))
    ]  # fmt: skip
    plain, layout = _compile(entity, features, own=own)
    rows = _Rows(stream, entity, features, layout)
    rows.run(plain, [])
    disturbed, _ = _compile(entity, features, own=own)
    again = _Rows(stream, entity, features, layout)
    for i in range(again.n):
        s = slice(i, i + 1)
        back = np.array([again.times[i] - 3 * DAY])
        scratch = again.x[s].copy()
        disturbed.apply(
            again.keys[s], again.kinds[s], back, again.clocks[s], again.keep[s], i, scratch, again.codes[s].copy(), write=False
        )
        disturbed.apply(
            again.keys[s], again.kinds[s], again.times[s], again.clocks[s], again.keep[s], i, again.x[s], again.codes[s]
        )
    np.testing.assert_array_equal(again.x, rows.x)
    assert disturbed.digest(rows.clocks[-1]) == plain.digest(rows.clocks[-1])


OVERFLOWS = "ignore:overflow encountered:RuntimeWarning"
"""Totals and hashes are meant to wrap, which numpy reports for single numbers."""


def _rerun(tmp_path: Path, **environment: str) -> None:
    """This file's own tests in a new interpreter."""
    selected = ["-W", OVERFLOWS, __file__, "-k", "agree or hot or dry"]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *selected]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), **environment}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_the_kernel_runs_as_plain_python(tmp_path: Path) -> None:
    """The same suite without compilation, where numpy itself checks bounds and overflow."""
    _rerun(tmp_path, NUMBA_DISABLE_JIT="1", PENSTOCK_KERNEL_EXAMPLES="6")


@pytest.mark.slow
@pytest.mark.repeats  # numpy checks the same in the test before
def test_the_kernel_stays_within_its_arrays(tmp_path: Path) -> None:
    """The same suite compiled with bounds checking."""
    _rerun(tmp_path, NUMBA_BOUNDSCHECK="1", PENSTOCK_KERNEL_EXAMPLES="40")
