"""The key of personal fields: made once, with care, and never a second time beside what the first one made."""

import os
import stat
from datetime import datetime

import msgspec
import pytest

from penstock import Detector, Engine, Entity
from penstock.config import Settings
from penstock.database.sqlite import SqliteDatabase
from penstock.engine.startup import PERSONAL_KEY, personal_key_of
from penstock.errors import ConfigurationError
from penstock.wiring.personal import vault_of


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    card: str
    amount: float


def detector(personal: tuple[str, ...] = ("card",)) -> Detector:
    return Detector(
        "shop",
        event=Payment,
        id="transaction_id",
        time="timestamp",
        personal=personal,
        features=[Entity("card").count("1h")],
        models=[],
    )


def payment(k: int) -> dict:
    return {"transaction_id": f"t{k}", "timestamp": "2026-01-05T10:00:00Z", "card": "4111111111111111", "amount": 1.0}


def test_it_is_written_whole_durable_and_for_its_owner_alone(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)))
    key = personal_key_of(tmp_path / "data")
    path = tmp_path / "data" / PERSONAL_KEY
    assert path.read_bytes() == key == personal_key_of(tmp_path / "data")
    assert (len(key), stat.S_IMODE(path.stat().st_mode)) == (32, 0o600)
    assert synced == [False, True]
    assert [each.name for each in path.parent.iterdir()] == [PERSONAL_KEY]


def test_a_full_disk_leaves_no_half_a_key(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        personal_key_of(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lost_beside_a_ledger_that_used_it_the_engine_does_not_start(tmp_path):
    with Engine(detector(), data=tmp_path) as engine:
        engine.decide(payment(1))
    kept = (tmp_path / PERSONAL_KEY).read_bytes()
    (tmp_path / PERSONAL_KEY).unlink()
    with pytest.raises(ConfigurationError, match=r"personal\.key is missing.*Restore.*openssl rand"):
        Engine(detector(), data=tmp_path)
    assert not (tmp_path / PERSONAL_KEY).exists()
    with pytest.raises(ConfigurationError, match="Restore"):
        personal_key_of(tmp_path)
    (tmp_path / PERSONAL_KEY).write_bytes(kept)
    with Engine(detector(), data=tmp_path) as engine:
        assert engine.decide(payment(2)).features["card_count_1h"] == 2


def test_cut_short_it_is_refused(tmp_path):
    (tmp_path / PERSONAL_KEY).touch()
    with pytest.raises(ConfigurationError, match="holds 0 bytes"):
        Engine(detector(), data=tmp_path)


def test_a_ledger_that_used_none_gets_one(tmp_path):
    with Engine(detector(personal=()), data=tmp_path) as engine:
        engine.decide(payment(1))
    with Engine(detector(), data=tmp_path) as engine:
        engine.decide(payment(2))
    assert (tmp_path / PERSONAL_KEY).exists()


def test_lost_beside_a_vault_that_used_it_the_vault_is_not_opened(tmp_path):
    settings, office = Settings(data=tmp_path), SqliteDatabase()
    vault_of(settings, office).keep("shop", [("tok_ana", "tok_1", "4111")])
    (tmp_path / PERSONAL_KEY).unlink()
    with pytest.raises(ConfigurationError, match="the office holds personal values"):
        vault_of(settings, office)
    assert not (tmp_path / PERSONAL_KEY).exists()
