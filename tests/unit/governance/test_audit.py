"""The log of changes: whatever is changed in it is found, and what was erased is said."""

import sqlite3
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.audit import AuditLog, erase, note
from penstock.cli import run
from penstock.database import SqliteDatabase, open_office

COLUMNS = ["seq", "at_us", "who", "action", "subject", "digest", "salt", "details", "hash"]


def filled(path, entries=6):
    database = SqliteDatabase(path)
    log = AuditLog(database)
    with database.write() as transaction:
        for at in range(entries):
            note(transaction, who="ana", action="rules.add", subject=f"rules/{at % 3}", details={"n": at}, at_us=at)
    return database, log


def test_entries_are_read_newest_first_by_page_and_by_what_they_say(tmp_path):
    database, log = filled(tmp_path / "o")
    assert [entry.seq for entry in log.entries(limit=2)] == [6, 5]
    assert [entry.seq for entry in log.entries(limit=2, before=5)] == [4, 3]
    assert [entry.details for entry in log.entries(subject="rules/1", who="ana", action="rules.add")] == [{"n": 4}, {"n": 1}]
    assert log.entries(who="bob") == []
    database.close()


def test_a_change_that_is_undone_leaves_no_entry(tmp_path):
    database, log = filled(tmp_path / "o", 1)
    with pytest.raises(RuntimeError), database.write() as transaction:
        note(transaction, who="ana", action="rules.add", subject="rules/a", details={}, at_us=1)
        raise RuntimeError
    assert log.head().seq == 1
    assert log.verify() is None
    database.close()


def changed(value, place):
    """The value with one byte (or one unit) other than it was."""
    if isinstance(value, int):
        return value + 1 + place
    place %= len(value)
    return value[:place] + ("y" if value[place] == "x" else "x") + value[place + 1 :]


@settings(max_examples=80, deadline=None)
@given(seq=st.integers(1, 6), column=st.sampled_from(COLUMNS), place=st.integers(0, 63))
def test_a_change_of_any_byte_anywhere_is_found_at_its_entry(seq, column, place):
    database, log = filled(None)
    with database.write() as transaction:
        [(value,)] = transaction.run(f"SELECT {column} FROM audit WHERE seq = :seq", {"seq": seq})
        transaction.run(
            f"UPDATE OR REPLACE audit SET {column} = :new WHERE seq = :seq", {"new": changed(value, place), "seq": seq}
        )
    found = log.verify()
    database.close()
    assert found is not None
    assert found.seq == seq


@pytest.mark.parametrize("seq", [1, 3, 6])
def test_an_entry_that_was_removed_is_missed(tmp_path, seq):
    database, log = filled(tmp_path / "o")
    with database.write() as transaction:
        transaction.run("DELETE FROM audit WHERE seq = :seq", {"seq": seq})
    assert log.verify().seq == seq
    database.close()


def test_erased_details_leave_the_chain_whole_and_are_told_of(tmp_path):
    database, log = filled(tmp_path / "o")
    with database.write() as transaction:
        assert erase(transaction, who="dpo", subject="rules/1", at_us=99) == 2
    assert log.verify() is None
    [told] = log.erasures()
    assert (told.who, told.at_us, told.subject, told.entries) == ("dpo", 99, "rules/1", [2, 5])
    assert [entry.details for entry in log.entries(subject="rules/1", action="rules.add")] == [None, None]
    assert database.read("SELECT count(*) FROM audit WHERE details LIKE '%\"n\":4%'") == [(0,)]
    database.close()


def test_details_that_vanish_without_an_erasure_are_missed(tmp_path):
    database, log = filled(tmp_path / "o")
    with database.write() as transaction:
        transaction.run("UPDATE audit SET details = NULL, salt = NULL WHERE seq = 4")
    assert (log.verify().seq, log.verify().reason) == (4, "its details are missing, and no entry says who erased them")
    database.close()


def test_concurrent_writers_make_one_chain(tmp_path):
    databases = [SqliteDatabase(tmp_path / "o") for _ in range(4)]
    logs = [AuditLog(database) for database in databases]

    def write(database, name):
        for at in range(15):
            with database.write() as transaction:
                note(transaction, who=name, action="a.b", subject="s", details={}, at_us=at)

    threads = [threading.Thread(target=write, args=(each, str(n))) for n, each in enumerate(databases)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert logs[0].head().seq == 60
    assert logs[0].verify() is None
    for database in databases:
        database.close()


def test_the_command_verifies_and_fails_where_the_chain_is_broken(tmp_path, capsys):
    with open_office(tmp_path) as database:
        AuditLog(database)
        with database.write() as transaction:
            note(transaction, who="ana", action="rules.add", subject="rules/1", details={"n": 1}, at_us=0)
    assert run(["audit", "verify", "--data", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("whole: 1 entries, head ")
    assert run(["audit", "list", "--data", str(tmp_path)]) == 0
    assert 'rules/1  {"n":1}' in capsys.readouterr().out
    raw = sqlite3.connect(tmp_path / "office.sqlite")
    with raw:
        raw.execute("UPDATE audit SET who = 'bob'")
    raw.close()
    assert run(["audit", "verify", "--data", str(tmp_path)]) == 1
    assert "broken at entry 1" in capsys.readouterr().out
