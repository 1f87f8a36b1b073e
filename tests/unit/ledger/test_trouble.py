"""A device without room, a device that refuses, a process that is killed."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.waiting import wait_until

from penstock.codes import text_codes
from penstock.errors import LedgerError, LedgerFull
from penstock.ledger import FileLedger
from penstock.ledger.disk import Disk
from penstock.ledger.segments import FIRST_OFFSET

DAY_US = 86_400_000_000


class BadDisk(Disk):
    """Fails when told to: writes that stop halfway, syncs that do not happen, names that cannot be made."""

    def __init__(self):
        self.room = None
        self.broken = set()

    def _may(self, what):
        if what in self.broken:
            raise OSError(errno.EIO, "Input/output error")

    def write(self, fd, data, offset):
        self._may("write")
        if self.room is not None and len(data) > self.room:
            super().write(fd, memoryview(data)[: self.room], offset)
            self.room = 0
            raise OSError(errno.ENOSPC, "No space left on device")
        if self.room is not None:
            self.room -= len(data)
        super().write(fd, data, offset)

    def sync(self, fd):
        self._may("sync")
        super().sync(fd)

    def create(self, path):
        self._may("create")
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)

    def rename(self, old, new):
        self._may("rename")
        super().rename(old, new)

    def truncate(self, fd, size):
        self._may("truncate")
        super().truncate(fd, size)


def eventually_durable(ledger):
    """Flush as one who was told of trouble does: again, after a while."""
    wait_until(lambda: ledger.durable_position == ledger.position and ledger.trouble is None)


def test_without_room_nobody_is_told_that_it_is_durable_and_work_goes_on_when_there_is(tmp_path, record, fill):
    disk = BadDisk()
    told = []
    with FileLedger(tmp_path, disk=disk) as ledger:
        fill(ledger, batches=5)
        good = ledger.size_bytes
        disk.room = 100
        for k in range(3):
            ledger.append(record([f"full{k}"], 15 + k), lambda error, k=k: told.append((k, error)))
        wait_until(lambda: len(told) == 3)
        assert [k for k, _ in told] == [0, 1, 2]
        assert all(isinstance(error, LedgerFull) for _, error in told)
        assert "no room for" in str(ledger.trouble)
        assert "Free space" in str(ledger.trouble)
        assert (ledger.size_bytes, ledger.durable_position, ledger.position) == (good, 5, 8)
        assert [p for p, _ in ledger.read()] == list(range(5))
        disk.room = None
        eventually_durable(ledger)
        fill(ledger, batches=2)
        assert [p for p, _ in ledger.read()] == list(range(10))
        assert ledger.find("banking", "full1")[0].first_seq == 16
        assert len(told) == 3
    with FileLedger(tmp_path) as ledger:
        assert (ledger.position, ledger.cut_bytes) == (10, 0)


def test_a_process_that_ends_while_the_disk_is_full_loses_only_what_was_not_acknowledged(tmp_path, record, fill):
    disk = BadDisk()
    ledger = FileLedger(tmp_path, disk=disk)
    fill(ledger, batches=5)
    disk.room = 50
    ledger.append(record(["lost"], 15))
    with pytest.raises(LedgerFull):
        ledger.close()
    with FileLedger(tmp_path) as again:
        assert (again.position, again.next_seq) == (5, 15)
        fill(again, batches=1)


def test_a_ledger_cannot_begin_without_room_and_says_so(tmp_path):
    disk = BadDisk()
    disk.room = 0
    with pytest.raises(LedgerFull, match="no room for"):
        FileLedger(tmp_path, disk=disk)
    FileLedger(tmp_path).close()


@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_device_that_refuses_is_tried_again_until_it_works(tmp_path, record, fill, call):
    disk = BadDisk()
    told = []
    with FileLedger(tmp_path, disk=disk) as ledger:
        fill(ledger, batches=2)
        disk.broken = {call, "truncate"}
        ledger.append(record(["a"], 6), told.append)
        wait_until(lambda: told)
        assert type(told[0]) is LedgerError
        assert "Input/output error" in str(told[0])
        assert "tried again" in str(told[0])
        disk.broken = set()
        eventually_durable(ledger)
    with FileLedger(tmp_path) as ledger:
        assert ledger.find("banking", "a")[0].first_seq == 6


@pytest.mark.parametrize("call", ["create", "rename", "truncate", "sync"])
def test_a_segment_that_cannot_be_begun_is_begun_later(tmp_path, record, fill, call):
    disk = BadDisk()
    with FileLedger(tmp_path, disk=disk, segment_bytes=FIRST_OFFSET + 700) as ledger:
        for k in range(6):
            fill(ledger, batches=1)
            disk.broken = {call}
            first = ledger.next_seq
            ledger.append(record([f"b{k}"], first))
            wait_until(lambda: ledger.trouble is not None or ledger.durable_position == ledger.position)
            disk.broken = set()
            eventually_durable(ledger)
        assert [p for p, _ in ledger.read()] == list(range(12))
    with FileLedger(tmp_path) as ledger:
        assert [p for p, _ in ledger.read()] == list(range(12))
        assert len(list((tmp_path / "log").glob("*.log"))) > 2


def test_ids_that_cannot_be_sorted_now_stay_in_memory_and_are_sorted_later(tmp_path, fill, monkeypatch):
    monkeypatch.setattr("penstock.ledger.embedded._TEND_S", 0.02)
    disk = BadDisk()
    with FileLedger(tmp_path, disk=disk, seal_rows=8) as ledger:
        fill(ledger, batches=1)
        disk.broken = {"create"}
        fill(ledger, batches=20)
        assert all(ledger.find("banking", f"tx{seq}")[1] == seq % 3 for seq in range(63))
        disk.broken = set()
        wait_until(lambda: not ledger.ids.untended)
        assert all(ledger.find("banking", f"tx{seq}")[1] == seq % 3 for seq in range(63))
    assert list((tmp_path / "ids").glob("*.ids"))


def test_appending_blocks_while_too_much_waits(tmp_path, record):
    ledger = FileLedger(tmp_path, pending_rows=10)
    lengths = []
    for k in range(40):
        ledger.append(record(["a", "b", "c"], 3 * k))
        lengths.append(ledger.writer.waiting_rows)
    ledger.close()
    assert max(lengths) <= 12


def test_a_callback_that_fails_does_not_stop_the_ledger(tmp_path, record, caplog):
    with FileLedger(tmp_path) as ledger:
        ledger.append(record(["a"], 0), lambda error: 1 / 0)
        ledger.append(record(["b"], 1))
        ledger.flush()
        assert ledger.durable_position == 2
    assert "a callback of the ledger failed" in caplog.text


def test_a_record_without_bytes_is_never_acknowledged(tmp_path, record):
    told = []
    ledger = FileLedger(tmp_path)
    ledger.append(record(["a"], 0, odd=np.array([{}])), told.append)
    wait_until(lambda: told)
    assert "cannot be written" in str(told[0])
    with pytest.raises(LedgerError, match="please report it"):
        ledger.close()


@pytest.fixture
def small_device(tmp_path):
    """A file system of 4 MiB, where one may be mounted."""
    where = tmp_path / "small"
    where.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(where)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield where
    subprocess.run(["umount", str(where)], check=True)


def test_a_device_that_is_really_full(small_device, record, fill):
    ballast = small_device / "ballast"
    with FileLedger(small_device / "ledger") as ledger:
        fill(ledger, batches=20)
        free = os.statvfs(small_device)
        ballast.write_bytes(bytes(free.f_bavail * free.f_bsize))
        noise = np.random.default_rng(0).random((20_000, 10))
        ids = [f"big{k}" for k in range(20_000)]
        told = []
        ledger.append(record(ids, 60, x=noise), told.append)
        wait_until(lambda: told)
        assert isinstance(told[0], LedgerFull)
        assert ledger.find("banking", "tx59") is not None
        ballast.unlink()
        eventually_durable(ledger)
        assert ledger.find("banking", "big19999")[0].columns["x"][-1].tolist() == noise[-1].tolist()
    with FileLedger(small_device / "ledger") as ledger:
        assert ledger.next_seq == 20_060


WRITER = """
import os, sys
import numpy as np
from penstock.codes import text_codes
from penstock.ledger import FileLedger
from penstock.messages import Record

ledger = FileLedger(sys.argv[1], segment_bytes=200_000, seal_rows=2_000)
rng = np.random.default_rng(ledger.next_seq)

def acknowledge(stop):
    return lambda error: os.write(1, b"%d\\n" % stop) if error is None else None

while True:
    n = int(rng.integers(1, 20))
    first = ledger.next_seq
    ids = [f"tx{first + k}" for k in range(n)]
    now = np.full(n, first, np.int64)
    x = np.arange(first, first + 4.0 * n).reshape(n, 4)
    ledger.append(Record("decisions", "banking", first, ids, text_codes(ids), now, now, {"x": x}), acknowledge(first + n))
"""


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path):
    chance = random.Random(1)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    acknowledged = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=env) as process:
            enough = acknowledged + 1_000  # rows, however long they take: in the end some of their ids are sorted
            while (line := process.stdout.readline()) and (acknowledged := int(line)) < enough:
                pass
            time.sleep(chance.uniform(0.01, 0.1))
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read()
        acknowledged = max([acknowledged, *(int(line) for line in rest.split(b"\n")[:-1])])
        with FileLedger(tmp_path, segment_bytes=200_000, seal_rows=2_000) as ledger:
            assert ledger.next_seq >= acknowledged
            seq = 0
            for _, got in ledger.read():
                assert got.first_seq == seq
                assert got.columns["x"].ravel().tolist() == list(range(seq, seq + 4 * len(got)))
                seq += len(got)
            sample = [chance.randrange(ledger.next_seq) for _ in range(50)]
            assert [f.first_seq + row for f, row in (ledger.find("banking", f"tx{k}") for k in sample)] == sample
            claims = ledger.claims("banking", DAY_US)
            codes = text_codes([f"tx{k}" for k in sample])
            assert claims.peek(codes, np.full(50, ledger.next_seq)).tolist() == sample
    assert acknowledged > 100
    assert len(list(Path(tmp_path, "ids").glob("*.ids"))) > 0
