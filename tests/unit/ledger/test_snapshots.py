import errno
import os

import numpy as np
import pytest

from penstock.errors import LedgerDamaged, LedgerFull
from penstock.ledger import snapshots
from penstock.ledger.disk import Disk

ARRAYS = {
    "rows": np.arange(3_000).reshape(1_000, 3),
    "bytes": np.frombuffer(b"state", np.uint8),
    "empty": np.empty((0, 4), np.float32),
    "scalar": np.array(2.5),
    "flags": np.array([True, False]),
    "strided": np.arange(20)[::2],
    "nan": np.array([np.nan, -0.0]),
}


def newest(folder):
    return max(folder.glob("*.state"))


def test_arrays_and_facts_come_back_bit_for_bit(tmp_path):
    snapshots.save(tmp_path / "state", ARRAYS, {"position": 7, "fingerprint": "ab", "clock": {"newest_us": 5}})
    arrays, meta = snapshots.load_newest(tmp_path / "state")
    assert meta == {"position": 7, "fingerprint": "ab", "clock": {"newest_us": 5}}
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()


def test_changing_what_was_loaded_does_not_change_the_file(tmp_path):
    snapshots.save(tmp_path, ARRAYS, {"position": 1})
    arrays, _ = snapshots.load_newest(tmp_path)
    arrays["rows"][:] = -1
    again, _ = snapshots.load_newest(tmp_path)
    assert again["rows"].tobytes() == ARRAYS["rows"].tobytes()


def test_there_is_none_before_the_first(tmp_path):
    assert snapshots.load_newest(tmp_path / "state") is None


def test_the_newest_two_are_kept(tmp_path):
    for position in (9, 10, 100):
        snapshots.save(tmp_path, {"a": np.array([position])}, {"position": position})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["0000000000000010.state", "0000000000000100.state"]
    assert snapshots.load_newest(tmp_path)[1]["position"] == 100


@pytest.mark.parametrize("at", [0, 17, 33, 4096 + 11, 4096 + 24_000 - 1, -1])
def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path, at, caplog):
    for position in (1, 2):
        snapshots.save(tmp_path, {"a": np.full(3_000, position), "b": np.full(512, position)}, {"position": position})
    data = bytearray(newest(tmp_path).read_bytes())
    data[at] ^= 1
    newest(tmp_path).write_bytes(data)
    arrays, meta = snapshots.load_newest(tmp_path)
    assert (meta["position"], arrays["a"][0]) == (1, 1)
    assert "0000000000000002.state is damaged" in caplog.text


@pytest.mark.parametrize("size", [0, 30, 5_000])
def test_a_cut_snapshot_is_damaged(tmp_path, size):
    path = snapshots.save(tmp_path, ARRAYS, {"position": 1})
    os.truncate(path, size)
    with pytest.raises(LedgerDamaged, match="is damaged"):
        snapshots.load(path)
    assert snapshots.load_newest(tmp_path) is None


def test_a_full_disk_leaves_the_snapshot_before_and_nothing_else(tmp_path):
    class Full(Disk):
        def write(self, fd, data, offset):
            if offset:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(fd, data, offset)

    snapshots.save(tmp_path, ARRAYS, {"position": 1})
    with pytest.raises(LedgerFull, match=r"no room for .*0000000000000002\.state"):
        snapshots.save(tmp_path, ARRAYS, {"position": 2}, disk=Full())
    assert [path.name for path in tmp_path.iterdir()] == ["0000000000000001.state"]


def test_what_a_crash_left_half_written_is_not_loaded_and_does_not_disturb(tmp_path):
    snapshots.save(tmp_path, ARRAYS, {"position": 1})
    (tmp_path / "0000000000000002.state.tmp").write_bytes(b"half")
    assert snapshots.load_newest(tmp_path)[1]["position"] == 1
    snapshots.save(tmp_path, ARRAYS, {"position": 2})
    assert snapshots.load_newest(tmp_path)[1]["position"] == 2
