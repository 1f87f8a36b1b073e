"""Query folders lie in the data folder, for their owner alone, and go with their process, however it ends."""

import subprocess
import sys
import tempfile

from penstock.ledger import FileLedger
from penstock.ledger.archive import Archive
from penstock.ledger.query_folder import QueryFolder

KILLED = """
import os, sys
from pathlib import Path
from penstock.ledger.query_folder import QueryFolder
folder = QueryFolder(Path(sys.argv[1]))
(folder.path / "answer.parquet").write_bytes(b"personal")
print(folder.path.name, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_folder_lies_in_the_data_folder_and_goes_when_it_is_closed(tmp_path):
    folder = QueryFolder(tmp_path)
    assert folder.path.parent == tmp_path / "queries"
    assert [path.stat().st_mode & 0o777 for path in (folder.path, folder.path.parent)] == [0o700, 0o700]
    folder.close()
    folder.close()
    assert list((tmp_path / "queries").iterdir()) == []


def test_what_a_killed_process_left_goes_at_the_next_start_and_what_is_used_stays(tmp_path):
    used = QueryFolder(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert killed.returncode == -9, killed.stderr
    assert (tmp_path / "queries" / killed.stdout.strip() / "answer.parquet").exists()
    with FileLedger(tmp_path / "ledger") as ledger, Archive(ledger, tmp_path / "archive"):
        assert list((tmp_path / "queries").iterdir()) == [used.path]
    used.close()


def test_without_a_data_folder_the_systems_one_serves_and_none_is_made(tmp_path):
    folder = QueryFolder(tmp_path / "none")
    assert str(folder.path).startswith(tempfile.gettempdir())
    assert not (tmp_path / "none").exists()
    folder.close()
    assert not folder.path.exists()


def test_a_query_leaves_nothing_outside_the_data_folder(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(elsewhere))
    monkeypatch.chdir(elsewhere)
    data = tmp_path / "data"
    with FileLedger(data) as ledger, Archive(ledger, data / "archive") as archive:
        archive.query("SELECT count(*) AS n FROM quarantine")
        assert list(elsewhere.iterdir()) == []
