"""What lies in a data folder is its owner's alone: as it is made, and as version 0.1 left it."""

import os
import sqlite3
from pathlib import Path

import pytest

from penstock.database import open_office
from penstock.errors import ConfigurationError
from penstock.ledger import FileLedger, Quarantined
from penstock.private_files import keep_private


@pytest.fixture(autouse=True)
def usual_mask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder):
    """Those of files and of folders."""
    found = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    return {mode for path, mode in found.items() if path.is_file()}, {mode for path, mode in found.items() if path.is_dir()}


def test_a_new_folder_is_its_owners_alone(tmp_path):
    data = tmp_path / "data"
    with FileLedger(data / "ledger") as ledger, open_office(data):
        ledger.tables.quarantine([Quarantined("d", 1, "cause", None, b"{}")])
        assert modes(data) == ({0o600}, {0o700})


def test_a_folder_that_others_could_read_is_closed_when_it_is_opened(tmp_path):
    data = tmp_path / "data"
    with FileLedger(data / "ledger"), open_office(data):
        pass
    (data / "models" / "d").mkdir(parents=True)
    (data / "models" / "d" / "manifest.json").write_text("{}")
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with FileLedger(data / "ledger"), open_office(data):
        assert modes(data) == ({0o600}, {0o700})


def test_a_folder_that_cannot_be_made_or_written_is_named_with_the_remedy(tmp_path, monkeypatch):
    (tmp_path / "payments.csv").write_text("id")
    for place, said in (
        (tmp_path / "payments.csv", "payments.csv is a file, where a folder is needed"),
        (tmp_path / "payments.csv" / "data", "cannot be made: Not a directory"),
        (Path("/proc/none"), "cannot be made: No such file or directory"),
    ):
        with pytest.raises(ConfigurationError, match=rf"{said}; name (another )?one \(--data\)"), open_office(place):
            pass
    monkeypatch.setattr(os, "access", lambda *_: False)  # whoever runs the tests may be root
    with pytest.raises(ConfigurationError, match="cannot be written: no permission"), open_office(tmp_path):
        pass


def test_what_is_not_of_penstock_is_left_as_it_is(tmp_path):
    script, linked = tmp_path / "run.sh", tmp_path / "elsewhere"
    script.touch(0o755)
    linked.mkdir(mode=0o755)
    (linked / "shared.json").touch(0o644)
    (tmp_path / "ledger").mkdir(mode=0o755)
    (tmp_path / "models").symlink_to(linked)
    tmp_path.chmod(0o755)
    keep_private(tmp_path)
    kept = [path.stat().st_mode & 0o777 for path in (tmp_path, script, linked, linked / "shared.json", tmp_path / "ledger")]
    assert kept == [0o755, 0o755, 0o755, 0o644, 0o700]


def test_a_refused_event_that_is_forgotten_is_nowhere_in_the_folder(tmp_path):
    with FileLedger(tmp_path) as ledger:
        ledger.tables.quarantine([Quarantined("d", 1, "cause", None, b"ana.maier@example.org")])
        [event] = ledger.tables.quarantined("d")
        ledger.tables.forget_quarantined([event.id])
        assert ledger.tables.quarantined("d") == []
        assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"ana.maier" in path.read_bytes()]
    with sqlite3.connect(tmp_path / "penstock.sqlite") as db:
        assert db.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
