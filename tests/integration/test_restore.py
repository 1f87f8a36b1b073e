"""Parts of a data folder restored from older copies, in all combinations: right counts, and every review has its case."""

import itertools
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from penstock import audit
from penstock.config import Settings
from penstock.engine import Engine
from penstock.errors import LedgerDamaged
from penstock.ledger.cursors import DISCARDED
from penstock.stream.cases import CaseWork
from penstock.testing import example_detector
from penstock.wiring.database import office_of
from penstock.wiring.engines import open_archive, openers

PARTS = {"ledger": ["ledger"], "state": ["state"], "office": ["office.sqlite", "office.sqlite-wal", "office.sqlite-shm"]}
AGES = ("old", "newer", "newest")
SOME = [("old", "newest", "newest"), ("newest", "old", "newest"), ("newer", "newest", "old"), ("old", "newer", "newest")]


def run(data: Path, first: int, n: int, *, amount: float, killed: bool = False, accept_loss: bool = False) -> None:
    """Serve a data folder for some decisions; killed: leave it as `kill -9` would, with everything acknowledged."""
    detector, settings = example_detector(), Settings(data=data, case_sample=1.0, accept_loss=accept_loss)
    with office_of(settings) as office:
        work = CaseWork([detector], settings, office)
        with openers([detector], settings, work=work)[detector.name]() as engine:
            for k in range(first, first + n):
                engine.decide({
                    "transaction_id": f"t{k}",
                    "timestamp": f"2026-01-05T10:{k // 60 % 60:02d}:{k % 60:02d}Z",
                    "customer_id": f"c{k % 3}",
                    "amount": amount + k,
                })  # fmt: skip
            assert work.feeding is not None
            work.feeding.finish(60)
            assert (work.feeding.behind, work.feeding.trouble) == (0, None)
            if killed:
                shutil.copytree(data, data.with_name("image"))
    if killed:
        shutil.rmtree(data)
        data.with_name("image").rename(data)


def keep(data: Path, age: str) -> None:
    shutil.copytree(data, data.with_name(age))


def restore(data: Path, **ages: str) -> None:
    """Put parts of the folder back that were kept at some age."""
    for part, age in ages.items():
        for name in PARTS[part]:
            shutil.rmtree(data / name, ignore_errors=True)
            (data / name).unlink(missing_ok=True) if not (data / name).is_dir() else None
            kept = data.with_name(age) / name
            if kept.is_dir():
                shutil.copytree(kept, data / name)
            elif kept.exists():
                shutil.copy(kept, data / name)


def check(data: Path) -> None:
    """The state is that of the ledger alone; every decision of the ledger is in one case."""
    bare = data.with_name("bare")
    shutil.rmtree(bare, ignore_errors=True)
    shutil.copytree(data / "ledger", bare / "ledger")
    with Engine(example_detector(), data=bare) as rebuilt, Engine(example_detector(), data=data) as engine:
        assert engine.pipeline.state.digest() == rebuilt.pipeline.state.digest()
        assert engine.totals.metrics() == rebuilt.totals.metrics()
        ids = Counter(id_ for _, record in engine.ledger.read(kinds=["decisions"]) for id_ in record.ids)
        assert max(ids.values()) == 1
        counts = [
            engine.queries.value(record, row, "customer_count_1h")
            for _, record in engine.ledger.read(kinds=["decisions"])
            for row in range(len(record))
        ]
        assert counts == [k // 3 + 1 for k in range(len(counts))]
    with office_of(Settings(data=data)) as office:
        opened = Counter(id_ for (id_,) in office.read("SELECT transaction_id FROM case_members"))
    assert set(ids) <= set(opened)
    assert max(opened.values()) == 1


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """A data folder of 90 decisions, and copies of when it held 30, 60 and 90."""
    data = tmp_path / "data"
    for number, age in enumerate(AGES):
        run(data, 30 * number, 30, amount=10)
        keep(data, age)
    return data


def combined(data: Path, ledger: str, state: str, office: str, *, kills: bool) -> None:
    restore(data, ledger=ledger, state=state, office=office)
    first = 30 * (1 + AGES.index(ledger))
    run(data, first, 45, amount=500, killed=kills)
    check(data)
    run(data, first + 45, 30, amount=900, killed=kills)
    check(data)


@pytest.mark.parametrize(("ledger", "state", "office"), SOME)
def test_parts_restored_from_older_copies_give_the_counts_of_the_ledger_and_all_of_its_cases(copies, ledger, state, office):
    combined(copies, ledger, state, office, kills=True)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [pytest.param(False, marks=pytest.mark.repeats), True])
def test_all_combinations_of_older_copies_give_the_counts_of_the_ledger_and_all_of_its_cases(copies, tmp_path, kills):
    for ledger, state, office in itertools.product(AGES, AGES, AGES):
        data = tmp_path / "again" / "data"
        for age in AGES:
            shutil.copytree(tmp_path / age, data.with_name(age))
        shutil.copytree(copies, data)
        combined(data, ledger, state, office, kills=kills)
        shutil.rmtree(data.parent)


def test_a_snapshot_and_positions_ahead_of_the_ledger_are_discarded_aloud(copies, caplog):
    before = DISCARDED.copy()
    restore(copies, ledger="old")
    run(copies, 30, 3, amount=500)
    assert "does not belong to the log: it has read 90 records, the log ends before 30" in caplog.text
    assert "the position of cases in the office does not belong to the ledger" in caplog.text
    assert (DISCARDED["snapshot"] - before["snapshot"], DISCARDED["cases"] - before["cases"]) == (2, 1)
    check(copies)


def test_a_ledger_that_grew_past_its_newer_snapshot_is_told_from_it_by_the_last_record(copies, caplog):
    """The same positions, other records: the copy of the state comes back only after the restored ledger has grown."""
    shutil.move(copies / "state", copies.with_name("state"))
    shutil.move(copies / "office.sqlite", copies.with_name("office.sqlite"))
    restore(copies, ledger="old")
    run(copies, 30, 90, amount=500)
    shutil.rmtree(copies / "state")
    shutil.move(copies.with_name("state"), copies / "state")
    shutil.move(copies.with_name("office.sqlite"), copies / "office.sqlite")
    run(copies, 120, 3, amount=700)
    assert "record 89 of the log is another one than it has read" in caplog.text
    check(copies)


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_a_folder_of_version_0_1_opens_and_is_guarded_from_then_on(tmp_path, how):
    """45 decisions, 40 of them rolled, a label, a snapshot where it was closed: made with version 0.1."""
    with zipfile.ZipFile(Path(__file__).with_name("version_0_1.zip")) as packed:
        packed.extractall(tmp_path)
    data = tmp_path / how
    run(data, 45, 15, amount=10, killed=True)
    check(data)
    with open_archive(Settings(data=data)) as archive:
        assert archive.query("SELECT count(*) AS n, sum(amount) AS s FROM example").rows() == [
            (60, sum(10.0 + k for k in range(60)))
        ]
    [path] = (data / "ledger" / "log").glob("*.log")
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[:-1])
    with pytest.raises(LedgerDamaged, match="1 acknowledged records are missing"):
        run(data, 60, 1, amount=10)


def test_a_loss_that_is_accepted_is_noted_in_the_log_of_changes_and_counts_are_right(copies):
    [path] = (copies / "ledger" / "log").glob("*.log")
    whole = path.read_bytes().rstrip(b"\0")
    path.write_bytes(whole[:-10])
    with pytest.raises(LedgerDamaged, match="1 acknowledged records are missing"):
        run(copies, 90, 1, amount=10)
    run(copies, 89, 10, amount=500, accept_loss=True)
    check(copies)
    with office_of(Settings(data=copies)) as office:
        [noted] = list(audit.AuditLog(office).entries(action="ledger.accept_loss"))
    assert "1 acknowledged records are missing" in noted.details["lost"][0]
    assert list((copies / "ledger" / "log").glob("*.lost"))
