"""Functions generated from plans against the table-driven kernel on long streams, their files on disk, and their compiler."""

import importlib
import json
import logging
import os
import pkgutil
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest

from penstock import Detector, Entity, detectors
from penstock.adapters.simulated import Simulation
from penstock.features.compiled import background, store
from penstock.features.compiled.build import compile_source
from penstock.features.compiled.source import function_of
from penstock.features.state import FeatureState
from penstock.ingest.selection import take
from penstock.messages import Batch
from penstock.offline.datasets import read
from penstock.offline.replay import Replay

HOUR, DAY = 3600 * 10**6, 86_400 * 10**6


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str | None = None
    device_id: str | None = None
    amount: float | None = None


customer, device = Entity("customer_id"), Entity("device_id")
FEATURES = [
    customer.count("1h"),
    customer.sum("amount", "24h"),
    customer.mean("amount", "7d"),
    customer.std("amount", "7d"),
    customer.since_last("30d"),
    device.distinct("customer_id", "24h"),
]
DETECTOR = Detector(
    "streams", event=Payment, id="transaction_id", time="timestamp", features=list(FEATURES), naive_times="UTC", lateness="1d"
)


def _stream(seed: int, n: int) -> Batch:
    """Payments with ties, late and too late events, nulls, sums out of range, and a silence of 60 days."""
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(0, [2, 30, 90][seed % 3] * DAY, n)) + 10**15
    if seed % 2:
        times = times // 60_000_000 * 60_000_000
    times += np.where(np.arange(n) > n // 2, 60 * DAY, 0)
    amounts = np.where(rng.random(n) < (0.9 if seed == 3 else 0), 8.9e9, np.round(rng.lognormal(3, 1, n), 2))
    frame = pl.DataFrame(
        {
            "transaction_id": [f"t{i}" for i in range(n)],
            "timestamp": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            "customer_id": _names("c", rng.integers(0, [5, 50, 500][seed % 3], n), rng, seed),
            "device_id": _names("d", rng.integers(0, [900, 40][seed % 2], n), rng, seed),
            "amount": pl.Series(np.where(rng.random(n) < 0.05 * (seed % 2), np.nan, amounts)).fill_nan(None),
        }
    )
    batch = Replay(DETECTOR).read_all(read(frame, DETECTOR))
    late = np.where(rng.random(n) < 0.05, rng.exponential(6 * HOUR, n), 0) + np.where(rng.random(n) < 0.003, 2.5 * DAY, 0)
    arrived = batch.time_us + late.astype(np.int64)
    batch = take(batch, np.argsort(arrived, kind="stable"))
    batch.arrived_us[:] = np.sort(arrived)
    return batch


def _names(prefix: str, numbers: np.ndarray, rng: np.random.Generator, seed: int) -> list[str | None]:
    nulls = rng.random(len(numbers)) < 0.04 * (seed % 2)
    return [None if null else f"{prefix}{number}" for null, number in zip(nulls, numbers.tolist(), strict=True)]


def _compile_all(state: FeatureState) -> None:
    for text in background.find(state):
        compile_source(text)
    assert background.find(state) == []


def _run(detector: Detector, batch: Batch, cuts: list[int], *, own: bool) -> tuple[np.ndarray, np.ndarray, FeatureState]:
    """All features of a batch that is applied in pieces, as bits and codes, and the state it leaves."""
    state = detector.state()
    if own:
        _compile_all(state)
    x, codes, start = batch.x.copy(), batch.codes.copy(), 0
    whole = Batch(batch.ids, batch.kinds, batch.time_us, batch.arrived_us, x, codes, dict(batch.texts))
    for end in [*cuts, len(batch)]:
        piece = take(whole, slice(start, end))
        state.apply(piece, start)
        x[start:end], codes[start:end] = piece.x, piece.codes
        start = end
    return x.view(np.int64), codes, state


def _assert_same(detector: Detector, batch: Batch, cuts: list[int]) -> None:
    (x, codes, state), (own_x, own_codes, own_state) = (_run(detector, batch, cuts, own=own) for own in (False, True))
    np.testing.assert_array_equal(own_x, x)
    np.testing.assert_array_equal(own_codes, codes)
    assert own_state.digest() == state.digest()
    assert [table.counts() for table in own_state.tables] == [table.counts() for table in state.tables]
    assert all(table.is_compiled for table in own_state.tables)
    assert not any(table.is_compiled for table in state.tables)


@pytest.mark.parametrize(("seed", "size"), [(0, 1), (1, 7), (2, 64), (3, 1000), (4, 5000)])
def test_long_streams_give_the_same_bits_and_the_same_state(seed: int, size: int):
    """Arrays grow, keys are forgotten, events come late, sums overflow; in batches of any size."""
    batch = _stream(seed, 1_500 if size == 1 else 6_000)
    _assert_same(DETECTOR, batch, list(range(size, len(batch), size)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [each.name for each in pkgutil.iter_modules(detectors.__path__)])
def test_every_detector_of_the_package_gives_the_same_bits_and_the_same_state(name: str):
    """All of its aggregates, on its own simulated people."""
    home = f"{detectors.__name__}.{name}"
    detector = importlib.import_module(home).detector
    frame = Simulation(importlib.import_module(f"{home}.profile").profile, events=4_000, days=60).frame()
    batch = Replay(detector).read_all(read(frame, detector))
    _assert_same(detector, batch, list(range(700, len(batch), 700)))


def test_entities_of_one_shape_share_one_function():
    """Neither names nor columns nor the lengths of windows are in a source."""

    def sources(hours: str, *entities: Entity) -> set[str]:
        features = [feature for e in entities for feature in (e.count(hours), e.sum("amount", hours), e.std("amount", hours))]
        detector = Detector("shapes", event=Payment, id="transaction_id", time="timestamp", features=features)
        return {function_of(each.plan) for each in detector.plan.entities}

    assert len(sources("1h", customer, device, Entity("customer_id", "device_id")) | sources("24h", device)) == 1


# ---------------------------------------------------------------- files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of compiled functions."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert store.folder() == tmp_path / "plans"
    return store.folder()


TEXT = "def run(call, start):\n    return start + {number}\n"


def test_a_kept_function_is_found_whole_and_a_damaged_one_is_not(folder: Path):
    text = TEXT.format(number=11)
    assert not store.has(text)
    compile_source(text)
    assert store.has(text)
    (path,) = folder.glob("*.plan")
    good = path.read_bytes()
    for damaged in (b"", good[:-20], good[:200], good[:-5] + b"12345", good.replace(b'"symbol"', b'"cymbol"'), b"[]\n" + good):
        path.write_bytes(damaged)
        assert not store.has(text)
        assert store.address_of(text) == 0
    path.write_bytes(good)
    assert store.address_of(text) != 0


def test_a_file_that_was_made_for_another_machine_is_not_used(folder: Path):
    text = TEXT.format(number=12)
    compile_source(text)
    (path,) = folder.glob("*.plan")
    path.write_bytes(path.read_bytes().replace(sys.platform.encode(), b"beos"))
    assert not store.has(text)


def test_a_file_of_another_source_is_not_used_under_this_ones_name(folder: Path):
    texts = [TEXT.format(number=number) for number in (13, 14)]
    for text in texts:
        compile_source(text)
    first, second = (folder / f"{store.name_of(text)}.plan" for text in texts)
    second.write_bytes(first.read_bytes())
    assert store.has(texts[0])
    assert not store.has(texts[1])


@pytest.mark.skipif(os.name == "nt", reason="folders have other rights there")
def test_a_folder_that_others_can_write_is_not_trusted(folder: Path):
    text = TEXT.format(number=15)
    compile_source(text)
    folder.chmod(0o777)
    assert not store.has(text)
    with pytest.raises(OSError, match="by no other"):
        compile_source(text)


def test_files_that_were_not_used_for_longest_are_removed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store, "MOST_FILES", 2)
    texts = [TEXT.format(number=number) for number in (16, 17, 18)]
    for age, text in zip((30, 20, 10), texts, strict=True):
        store.keep(text, "symbol", b"code")
        os.utime(folder / f"{store.name_of(text)}.plan", (1e9 - age, 1e9 - age))
    store.keep(texts[0], "symbol", b"code")
    assert [store.has(text) for text in texts] == [True, False, True]


# ---------------------------------------------------------------- compiling beside the work


def _wait(state: FeatureState, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not all(table.is_compiled for table in state.tables):
        assert time.monotonic() < until, "no function was put in place"
        time.sleep(0.05)


def test_a_state_starts_no_process_of_its_own(monkeypatch: pytest.MonkeyPatch):
    """An engine in a test or a script compiles nothing."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a process was started"))
    state = DETECTOR.state()
    with background.speed_up(state, 50_000):
        state.apply(_stream(0, 100), 0)
    assert not any(table.is_compiled for table in state.tables)


def test_states_get_what_is_compiled_already_without_a_process(monkeypatch: pytest.MonkeyPatch):
    """Those of a service, and those of a run that is long enough to look for it."""
    _compile_all(DETECTOR.state())
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a process was started"))
    with background.running():
        _wait(DETECTOR.state())
    state = DETECTOR.state()
    with background.speed_up(state, 10**7):
        assert all(table.is_compiled for table in state.tables)


def test_nothing_is_compiled_for_a_state_that_is_soon_gone(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """As that of a warm-up is, or of a preview."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_args, **_options: pytest.fail("a process was started"))
    with background.running():
        state = DETECTOR.state()
        time.sleep(0.5)
        del state
        time.sleep(1)
    assert not list(folder.glob("*.plan"))


@pytest.mark.slow
def test_missing_functions_are_compiled_in_a_process_and_put_in_place(folder: Path):
    """While batches are decided, which never notice."""
    features = [customer.count("3h"), customer.max("amount", "3h"), customer.count("5h"), customer.since_first()]
    detector = Detector("beside", event=Payment, id="transaction_id", time="timestamp", features=features)
    with background.running():
        _wait(detector.state())
    assert len(list(folder.glob("*.plan"))) == 1


def test_a_function_that_cannot_be_compiled_is_logged_and_the_table_driven_kernel_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    folder.parent.joinpath("plans").write_text("a file where the folder should be")
    monkeypatch.setattr(background, "source_of", lambda table: f"raise ValueError('{table.plan.entity.name}')\n")
    with caplog.at_level(logging.WARNING), background.running():
        state, until = DETECTOR.state(), time.monotonic() + 240
        while len(caplog.records) < len(state.tables):
            assert time.monotonic() < until
            time.sleep(0.05)
    assert "ValueError" in caplog.text
    batch = _stream(0, 200)
    state.apply(batch, 0)
    assert not any(table.is_compiled for table in state.tables)


def test_the_process_that_compiles_ends_with_the_one_that_started_it(folder: Path):
    """Its standard input is a pipe that only the other one holds; here it waits for its turn."""
    command = [sys.executable, "-m", "penstock.features.compiled.build", "gently"]
    with store.alone(), subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps([TEXT.format(number=19)]).encode() + b"\n")
        process.stdin.flush()
        time.sleep(0.5)
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 1
