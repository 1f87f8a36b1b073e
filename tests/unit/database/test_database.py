"""Small tables: whole transactions, and steps that are taken once."""

import threading

import pytest

from penstock.database import SqliteDatabase, TableSchema
from penstock.errors import LedgerError

NOTES = TableSchema("notes", [["CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)"]])


def test_a_transaction_that_fails_leaves_nothing(tmp_path):
    database = SqliteDatabase(tmp_path / "office.sqlite")
    database.prepare(NOTES)
    with pytest.raises(LedgerError), database.write() as transaction:
        transaction.run("INSERT INTO notes VALUES ('a', 'first')")
        transaction.run("INSERT INTO notes VALUES ('a', 'again')")
    assert database.read("SELECT count(*) FROM notes") == [(0,)]
    database.close()


def test_steps_are_taken_once_and_in_order_by_however_many_open_it(tmp_path):
    more = TableSchema("notes", [*NOTES.steps, ["ALTER TABLE notes ADD COLUMN author TEXT"]])
    first = SqliteDatabase(tmp_path / "office.sqlite")
    first.prepare(NOTES)
    databases = [SqliteDatabase(tmp_path / "office.sqlite") for _ in range(4)]
    threads = [threading.Thread(target=each.prepare, args=(more,)) for each in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first.read("SELECT version FROM office_schema") == [(2,)]
    assert first.read("SELECT author FROM notes") == []
    with pytest.raises(LedgerError, match="use a newer one"):
        first.prepare(NOTES)
    for each in [first, *databases]:
        each.close()
