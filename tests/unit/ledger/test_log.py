"""The files of the log: what a crash leaves is cut, what a crash cannot leave is named."""

import os
import shutil

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.errors import ConfigurationError, FolderInUse, LedgerDamaged, LedgerError
from penstock.ledger import FileLedger

DAY_US = 86_400_000_000


def segments(folder):
    return sorted((folder / "log").glob("*.log"))


def end_of(path):
    return len(path.read_bytes().rstrip(b"\0"))


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


@pytest.fixture
def filled(tmp_path, fill):
    """A closed ledger of 12 records in one segment, and the offsets where records end."""
    ends = []
    with FileLedger(tmp_path) as ledger:
        for _ in range(12):
            shutil.copy(tmp_path / "log" / "end", tmp_path / "end before")
            fill(ledger, batches=1)
            ends.append(ledger.log.segments[-1].end)
    return tmp_path, ends


def unacknowledged(folder):
    """Let the end be the one before the last record: it was being written when the process was killed."""
    shutil.copy(folder / "end before", folder / "log" / "end")


def test_a_write_torn_at_any_byte_loses_only_that_record(filled):
    folder, ends = filled
    [path] = segments(folder)
    whole = path.read_bytes()
    for cut in [*range(ends[-2] + 1, ends[-1], 7), ends[-1] - 1]:
        path.write_bytes(whole[:cut] + bytes(5_000))
        unacknowledged(folder)
        with FileLedger(folder) as ledger:
            assert [p for p, _ in ledger.read()] == list(range(11))
            assert ledger.cut_bytes > 0
            assert (ledger.position, ledger.next_seq) == (11, 33)
        assert path.stat().st_size == ends[-2]


def test_after_a_cut_the_log_goes_on_where_it_was(filled, fill):
    folder, ends = filled
    [path] = segments(folder)
    os.truncate(path, ends[-1] - 3)
    unacknowledged(folder)
    with FileLedger(folder) as ledger:
        fill(ledger, batches=3)
    with FileLedger(folder) as ledger:
        assert [p for p, _ in ledger.read()] == list(range(14))
        assert ledger.cut_bytes == 0


def test_a_flipped_bit_before_whole_records_is_damage_and_named(filled):
    folder, ends = filled
    [path] = segments(folder)
    flip(path, ends[4] + 70)
    with pytest.raises(LedgerDamaged, match=rf"{path.name} is damaged at byte {ends[4]}"):
        FileLedger(folder)


def test_a_flipped_bit_in_a_length_is_damage_too(filled):
    folder, ends = filled
    [path] = segments(folder)
    flip(path, ends[4] + 5)
    with pytest.raises(LedgerDamaged, match=f"at byte {ends[4]}"):
        FileLedger(folder)


def test_a_group_written_at_once_may_be_torn_in_its_middle(tmp_path, record):
    """The device may persist the pages of one write in any order: its later records may be whole and mean nothing."""
    ledger = FileLedger(tmp_path)
    shutil.copy(tmp_path / "log" / "end", tmp_path / "end before")
    with ledger.writer.changed:  # both wait, so both go into one group
        ledger.writer.changed.notify_all()
        for k in range(2):
            ledger.append(record([f"a{k}"], k))
    ledger.close()
    [path] = segments(tmp_path)
    flip(path, 64 + 70)
    unacknowledged(tmp_path)
    with FileLedger(tmp_path) as again:
        assert (again.position, again.cut_bytes > 0) == (0, True)


def test_each_truncation_of_what_was_acknowledged_is_refused_by_name(filled):
    folder, ends = filled
    [path] = segments(folder)
    whole = path.read_bytes()
    for cut in [*range(64, ends[-1], 31), *ends[:-1], ends[-1] - 1]:
        path.write_bytes(whole[:cut] + bytes(5_000))
        held = sum(end <= cut for end in ends)
        at = ends[held - 1] if held else 64
        with pytest.raises(
            LedgerDamaged, match=rf"{12 - held} acknowledged records.*{path.name} is damaged or cut at byte {at},"
        ):
            FileLedger(folder)
        os.truncate(path, cut)
        with pytest.raises(LedgerDamaged, match="accept-loss"):
            FileLedger(folder)
        with pytest.raises(LedgerDamaged, match="acknowledged records are missing"):
            FileLedger(folder, read_only=True)
    path.write_bytes(whole)
    with FileLedger(folder) as ledger:
        assert (ledger.position, ledger.losses) == (12, [])


def test_each_byte_of_the_last_group_flipped_is_refused_by_name(filled):
    folder, ends = filled
    [path] = segments(folder)
    for at in range(ends[-2], ends[-1]):
        flip(path, at)
        with pytest.raises(LedgerDamaged, match=rf"1 acknowledged records.*{path.name} is damaged or cut at byte {ends[-2]},"):
            FileLedger(folder)
        flip(path, at)
    with FileLedger(folder) as ledger:
        assert ledger.position == 12


def test_a_loss_that_is_accepted_is_told_and_put_aside_and_the_log_goes_on(filled, fill, caplog):
    folder, ends = filled
    [path] = segments(folder)
    flip(path, ends[8] + 70)
    with pytest.raises(LedgerDamaged, match=f"{path.name} is damaged at byte {ends[8]}"):
        FileLedger(folder)
    with FileLedger(folder, accept_loss=True) as ledger:
        assert (ledger.position, ledger.next_seq) == (9, 27)
        assert any(f"{path.name} is damaged at byte {ends[8]}" in loss for loss in ledger.losses)
        assert ledger.cut_bytes > 0
        fill(ledger, batches=4)
    [lost] = (folder / "log").glob("*.lost")
    assert len(lost.read_bytes().rstrip(b"\0")) == ends[-1] - ends[8]
    assert "accepted:" in caplog.text
    with FileLedger(folder) as ledger:
        assert ([p for p, _ in ledger.read()], ledger.losses) == (list(range(13)), [])


def test_a_segment_that_is_missing_anywhere_is_refused_and_may_be_accepted(tmp_path, fill):
    with FileLedger(tmp_path / "whole", segment_bytes=1_000, seal_rows=8) as ledger:
        fill(ledger, batches=12)
    count = len(segments(tmp_path / "whole"))
    assert count > 3
    for k in range(count):
        folder = tmp_path / f"without {k}"
        shutil.copytree(tmp_path / "whole", folder)
        missing = segments(folder)[k]
        missing.unlink()
        missing.with_suffix(".marks").unlink(missing_ok=True)
        with pytest.raises(LedgerDamaged, match=r"missing"):
            FileLedger(folder, segment_bytes=1_000)
        with FileLedger(folder, segment_bytes=1_000, accept_loss=True) as ledger:
            assert len(ledger.losses) > 0
            left = [p for p, _ in ledger.read()]
            assert left == list(range(ledger.first_position, ledger.position))
            fill(ledger, batches=2)
            assert [p for p, _ in ledger.read()][-2:] == [ledger.position - 2, ledger.position - 1]
        with FileLedger(folder, segment_bytes=1_000) as ledger:
            assert ledger.losses == []


def copy_open_folder(source, target):
    """A copy of a folder whose ids are perhaps being sorted meanwhile: made again where a file has gone in between."""
    while True:
        try:
            return shutil.copytree(source, target)
        except shutil.Error:
            shutil.rmtree(target)


def test_each_file_of_a_ledger_removed_in_turn_is_made_again_or_refused_by_name(tmp_path, fill):
    with FileLedger(tmp_path / "whole", segment_bytes=1_000, seal_rows=8) as ledger:
        fill(ledger, batches=12)
        ledger.register_layout("a", {})
        copy_open_folder(tmp_path / "whole", tmp_path / "killed")
    for state in ("whole", "killed"):
        for path in sorted(path for path in (tmp_path / state).rglob("*") if path.is_file()):
            folder = tmp_path / "spoilt"
            shutil.copytree(tmp_path / state, folder)
            (folder / path.relative_to(tmp_path / state)).unlink()
            if path.suffix == ".log" or path.name in ("penstock.sqlite", "penstock.sqlite-wal"):
                with pytest.raises(LedgerDamaged, match=r"missing|lacks what it held"):
                    FileLedger(folder, segment_bytes=1_000, seal_rows=8)
            else:
                with FileLedger(folder, segment_bytes=1_000, seal_rows=8) as ledger:
                    assert (ledger.position, ledger.losses) == (12, [])
                    assert all(ledger.find("banking", f"tx{k}") is not None for k in range(36))
            shutil.rmtree(folder)


@pytest.mark.parametrize("how", ["removed", "emptied", "another"])
def test_tables_that_are_not_those_of_the_log_are_refused_and_may_be_accepted(tmp_path, fill, how):
    for name in ("one", "other"):
        with FileLedger(tmp_path / name) as ledger:
            fill(ledger, batches=3)
    path = tmp_path / "one" / "penstock.sqlite"
    path.unlink()
    if how == "emptied":
        path.touch()
    elif how == "another":
        shutil.copy(tmp_path / "other" / "penstock.sqlite", path)
    with pytest.raises(LedgerDamaged, match=r"penstock.sqlite.*labels, quarantine.*accept-loss"):
        FileLedger(tmp_path / "one")
    with FileLedger(tmp_path / "one", accept_loss=True) as ledger:
        assert (len(ledger.losses), ledger.position) == (1, 3)
    with FileLedger(tmp_path / "one") as ledger:
        assert (ledger.losses, ledger.position) == ([], 3)


def test_a_log_that_is_gone_is_refused_though_its_end_is_gone_too(tmp_path, fill):
    with FileLedger(tmp_path) as ledger:
        fill(ledger, batches=3)
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(LedgerDamaged, match=r"log is missing or empty"):
        FileLedger(tmp_path)
    with pytest.raises(LedgerDamaged, match=r"log is missing or empty"):
        FileLedger(tmp_path)


def test_damage_in_a_sealed_segment_is_named_when_it_is_read(tmp_path, fill):
    with FileLedger(tmp_path, segment_bytes=1_000, seal_rows=4) as ledger:
        fill(ledger, batches=12)
    path = segments(tmp_path)[1]
    flip(path, 64 + 80)
    with FileLedger(tmp_path, segment_bytes=1_000, seal_rows=4) as ledger:
        with pytest.raises(LedgerDamaged, match=f"{path.name} is damaged at byte 64"):
            list(ledger.read())
        with pytest.raises(LedgerDamaged, match=path.name):
            first = int(path.stem)
            ledger.record_of(3 * first)


def test_a_segment_header_that_is_none_is_damage(filled):
    folder, _ = filled
    [path] = segments(folder)
    flip(path, 3)
    with pytest.raises(LedgerDamaged, match="at byte 0"):
        FileLedger(folder)


def test_a_missing_segment_is_noticed(tmp_path, fill):
    with FileLedger(tmp_path, segment_bytes=1_000) as ledger:
        fill(ledger, batches=12)
    missing = segments(tmp_path)[1]
    missing.unlink()
    with pytest.raises(LedgerDamaged, match="a segment is missing or cut"):
        FileLedger(tmp_path)


@pytest.mark.parametrize("spoil", ["remove", "flip"])
def test_sidecars_are_made_again_from_the_log(tmp_path, fill, spoil):
    with FileLedger(tmp_path, segment_bytes=1_000) as ledger:
        fill(ledger, batches=12)
    sidecars = sorted((tmp_path / "log").glob("*.marks"))
    assert len(sidecars) == len(segments(tmp_path)) - 1
    for path in sidecars:
        path.unlink() if spoil == "remove" else flip(path, 9)
    with FileLedger(tmp_path, segment_bytes=1_000) as ledger:
        assert ledger.position == 12
        assert ledger.find("banking", "tx20")[0].first_seq == 18
    assert len(list((tmp_path / "log").glob("*.marks"))) == len(sidecars)


def test_sealed_segments_carry_no_zeros(tmp_path, fill):
    with FileLedger(tmp_path, segment_bytes=1_000) as ledger:
        fill(ledger, batches=12)
    assert all(path.stat().st_size < 1_000 for path in segments(tmp_path)[:-1])


def test_what_is_forgotten_is_gone_and_the_rest_is_there(tmp_path, fill):
    with FileLedger(tmp_path, segment_bytes=1_000) as ledger:
        fill(ledger, batches=20)
        before = len(segments(tmp_path))
        assert ledger.forget(before_position=10) > 0
        first = ledger.first_position
        assert 0 < first <= 10
        assert [p for p, _ in ledger.read()] == list(range(first, 20))
        assert ledger.find("banking", "tx0") is None
        assert ledger.record_of(0) is None
        assert ledger.find("banking", "tx59") is not None
        assert len(segments(tmp_path)) < before
    with FileLedger(tmp_path, segment_bytes=1_000) as ledger:
        assert (ledger.first_position, ledger.position) == (first, 20)


# ---------------------------------------------------------------- ids


def ids_in(folder):
    return sorted(path for path in (folder / "ids").glob("*.ids"))


@pytest.fixture
def indexed(tmp_path, fill):
    """A closed ledger of 600 rows of two detectors, whose ids were sorted and merged several times."""
    with FileLedger(tmp_path, seal_rows=16) as ledger:
        for _ in range(50):
            fill(ledger, batches=1, rows=9)
            fill(ledger, batches=1, rows=3, detector="cards")
    return tmp_path


def all_found(ledger):
    for seq in range(600):
        detector = "banking" if seq % 12 < 9 else "cards"
        found, row = ledger.find(detector, f"tx{seq}")
        assert found.first_seq + row == seq
    assert ledger.find("banking", "tx600") is None


def test_ids_are_found_in_memory_and_in_merged_runs(indexed):
    assert 1 < len(ids_in(indexed)) < 20
    with FileLedger(indexed, seal_rows=16) as ledger:
        all_found(ledger)


@pytest.mark.parametrize("spoil", ["manifest", "one run", "all", "header", "cut"])
def test_runs_are_made_again_from_the_log(indexed, spoil):
    victim = ids_in(indexed)[0]
    if spoil == "manifest":
        (indexed / "ids" / "manifest").unlink()
    elif spoil == "one run":
        victim.unlink()
    elif spoil == "all":
        for path in (indexed / "ids").iterdir():
            path.unlink()
    elif spoil == "header":
        flip(victim, 20)
    else:
        os.truncate(victim, victim.stat().st_size - 1)
    with FileLedger(indexed, seal_rows=16) as ledger:
        all_found(ledger)


def test_a_damaged_run_is_noticed_before_ids_are_claimed(indexed):
    victim = max(ids_in(indexed), key=lambda path: path.stat().st_size)
    flip(victim, victim.stat().st_size - 1)
    with FileLedger(indexed, seal_rows=16) as ledger:
        for detector in ("banking", "cards"):
            ids = [f"tx{k}" for k in range(600) if (k % 12 < 9) == (detector == "banking")]
            seqs = ledger.claims(detector, DAY_US).peek(text_codes(ids), np.full(len(ids), 2_000))
            assert seqs.tolist() == [int(name[2:]) for name in ids]
        all_found(ledger)


def test_ids_written_by_a_process_that_died_in_between_do_not_confuse(indexed):
    (indexed / "ids" / "0000000000000000-0000000000000000-5.ids").write_bytes(b"half a run")
    (indexed / "ids" / "x.ids.tmp").write_bytes(b"")
    with FileLedger(indexed, seal_rows=16) as ledger:
        all_found(ledger)
    assert not (indexed / "ids" / "x.ids.tmp").exists()
    assert not (indexed / "ids" / "0000000000000000-0000000000000000-5.ids").exists()


def test_ids_of_another_branch_of_the_log_are_made_again(tmp_path, record, caplog):
    """Two ledgers that agree for 20 records and then differ, as after a restore; the ids of one lie beside the other."""
    for name, ending in (("one", "a"), ("other", "b")):
        with FileLedger(tmp_path / name, seal_rows=16) as ledger:
            for k in range(60):
                ledger.append(record([f"tx{k}" if k < 20 else f"tx{k}{ending}"], k))
                ledger.flush()
    shutil.rmtree(tmp_path / "other" / "ids")
    shutil.copytree(tmp_path / "one" / "ids", tmp_path / "other" / "ids")
    with FileLedger(tmp_path / "other", seal_rows=16) as ledger:
        assert all(ledger.find("banking", f"tx{k}b") is not None for k in range(20, 60))
        assert ledger.find("banking", "tx30a") is None
        seqs = ledger.claims("banking", DAY_US).peek(text_codes(["tx5", "tx30a", "tx30b"]), np.full(3, 2_000))
        assert seqs.tolist() == [5, -1, 30]
    assert "do not belong to the log" in caplog.text


# ---------------------------------------------------------------- one owner


def test_a_second_owner_is_refused_with_the_first_ones_name(tmp_path):
    with (
        FileLedger(tmp_path),
        pytest.raises(FolderInUse, match=rf"in use by process {os.getpid()}, since 20\d\d-.*one folder has one owner"),
    ):
        FileLedger(tmp_path)
    FileLedger(tmp_path).close()


def test_a_reader_needs_no_lock_and_changes_nothing(tmp_path, fill):
    with FileLedger(tmp_path) as owner:
        fill(owner, batches=5)
        with FileLedger(tmp_path, read_only=True) as reader:
            fill(owner, batches=5)
            assert len(list(reader.read())) == 5
            assert reader.find("banking", "tx14")[0].first_seq == 12
            with pytest.raises(LedgerError, match="read-only"):
                reader.append(None)
        fill(owner, batches=1)
        assert len(list(owner.read())) == 11


def test_a_reader_that_follows_sees_every_record_once_it_is_durable_over_segments_and_forgotten_ones(tmp_path, fill):
    with FileLedger(tmp_path, segment_bytes=2_000) as owner, FileLedger(tmp_path, read_only=True, following=True) as reader:
        seen = []
        for _ in range(30):
            fill(owner, batches=2)
            assert reader.refresh() == owner.durable_position
            seen += [(position, record.ids) for position, record in reader.read(len(seen))]
        assert len(segments(tmp_path)) > 3
        assert seen == [(position, record.ids) for position, record in owner.read()]
        assert owner.forget(40) > 0
        fill(owner, batches=1)
        reader.flush()
        assert (reader.first_position, reader.position) == (owner.first_position, 61)
        assert [position for position, _ in reader.read()] == list(range(owner.first_position, 61))


def test_a_reader_that_follows_an_empty_ledger_sees_its_first_record(tmp_path, fill):
    with FileLedger(tmp_path) as owner, FileLedger(tmp_path, read_only=True, following=True) as reader:
        assert reader.refresh() == 0
        fill(owner, batches=1)
        assert reader.refresh() == 1
        assert [position for position, _ in reader.read()] == [0]


def test_a_reader_that_follows_does_not_see_what_the_owner_has_written_and_may_still_undo(filled):
    folder, _ = filled
    said = (folder / "log" / "end").read_bytes()
    unacknowledged(folder)
    with FileLedger(folder, read_only=True, following=True) as reader:
        assert (reader.position, reader.refresh(), len(list(reader.read()))) == (11, 11, 11)
        (folder / "log" / "end").write_bytes(said)
        assert (reader.refresh(), len(list(reader.read()))) == (12, 12)


def test_a_reader_of_a_folder_without_a_ledger_is_told_so(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no ledger in"):
        FileLedger(tmp_path / "nothing", read_only=True)
    assert not (tmp_path / "nothing").exists()


def test_a_folder_that_cannot_be_made_is_a_setting_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot use the folder"):
        FileLedger(tmp_path / "file" / "ledger")


def test_an_owner_that_failed_to_open_lets_go_of_the_folder(filled):
    folder, ends = filled
    [path] = segments(folder)
    whole = path.read_bytes()
    flip(path, ends[2] + 70)
    with pytest.raises(LedgerDamaged):
        FileLedger(folder)
    path.write_bytes(whole)
    FileLedger(folder).close()
