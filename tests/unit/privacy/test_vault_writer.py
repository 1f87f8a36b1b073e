"""Personal values on their way into the vault: nobody waits, and what is left out is counted."""

import threading

from penstock.database import SqliteDatabase
from penstock.errors import LedgerError
from penstock.privacy import vault_writer
from penstock.privacy.vault import Vault
from penstock.privacy.vault_writer import VaultWriter


class Slow:
    """A vault that keeps nothing before it may."""

    def __init__(self):
        self.may, self.asked = threading.Event(), threading.Event()
        self.kept = []

    def keep(self, detector, said):
        self.asked.set()
        self.may.wait(60)
        self.kept += [(detector, *each) for each in said]


def test_what_was_handed_on_is_kept_when_it_has_been_closed():
    database = SqliteDatabase()
    vault = Vault(database, b"sixteen bytes at least")
    kept = VaultWriter(vault)
    for number in range(2500):
        kept.enqueue("shop", [(f"tok_p{number % 7}", f"tok_{number}", f"value {number}")])
    kept.close()
    kept.close()
    assert kept.lost == 0
    assert database.read("SELECT count(*) FROM vault_values") == [(2500,)]
    assert vault.values("shop", "tok_p3", ["tok_10"]) == {"tok_10": "value 10"}
    database.close()


def test_nobody_waits_for_a_vault_that_is_slow_and_what_finds_no_room_is_counted(monkeypatch):
    monkeypatch.setattr(vault_writer, "MOST_WAITING", 10)
    vault = Slow()
    kept = VaultWriter(vault)
    kept.enqueue("shop", [("tok_p", "tok_0", "v")])
    assert vault.asked.wait(60)  # now nothing is taken from those that wait
    for number in range(1, 100):
        kept.enqueue("shop", [("tok_p", f"tok_{number}", "v")])
    assert kept.lost == 89
    vault.may.set()
    kept.close()
    assert len(vault.kept) + kept.lost == 100


def test_a_vault_that_fails_stops_nothing(caplog):
    class Failing(Slow):
        def keep(self, detector, said):
            raise LedgerError("gone")

    kept = VaultWriter(Failing())
    kept.enqueue("shop", [("tok_p", "tok_1", "the value")])
    kept.close()
    assert kept.lost == 1
    assert "not kept" in caplog.text
    assert "the value" not in caplog.text
