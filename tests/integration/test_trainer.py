"""A trainer: trains when nothing decides, on schedule and when asked, and promotes what is better on the same test."""

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from penstock import LogisticRegression
from penstock.audit import AuditLog
from penstock.cli.serving.worker import train_where_nothing_decides
from penstock.config import Settings
from penstock.errors import DataError
from penstock.models import metrics
from penstock.offline.options import Options
from penstock.offline.registry import FolderRegistry, register
from penstock.offline.trainer import Round, Trainer, scores_of, take_request
from penstock.testing import SetClock
from penstock.wiring.database import office_of
from penstock.wiring.registries import note_challenger
from tests.integration.paid import detector, events, trained
from tests.waiting import wait_until

HOUR_US = 3_600_000_000


class Time:
    """A clock that moves while somebody waits."""

    def __init__(self, hours):
        self._clock, self._left = SetClock(datetime(2026, 3, 1, tzinfo=UTC)), hours
        self._now_us = self._clock()

    def __call__(self):
        return self._now_us

    def wait(self, _seconds):
        self._now_us += HOUR_US // 2
        self._left -= 0.5
        return self._left <= 0


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "paid.parquet"
    events(2500).write_parquet(path)
    return path


def lone():
    return detector(models=[LogisticRegression()])


def trainer(folder, file, clock, promotion="better", subject=None):
    return Trainer(
        subject or lone(), file, FolderRegistry(folder, clock=clock), promotion=promotion, options=Options(), clock=clock
    )


def attend(trainer, time, every_us=None, asked=lambda: None):
    rounds, failures = [], []
    trainer.attend(every_us=every_us, asked=asked, wait=time.wait, on_training=rounds.append, failed=failures.append)
    return rounds, failures


def test_it_trains_at_once_where_nothing_decides_and_the_result_decides(tmp_path, file):
    clock = Time(hours=5)
    [only], _ = attend(trainer(tmp_path, file, clock, "never"), clock)
    assert (only.why, only.decides) == ("nothing decides yet", True)
    assert FolderRegistry(tmp_path).alias("paid", "champion") == only.version


def test_it_trains_again_on_schedule_counted_from_the_newest_version(tmp_path, file):
    clock = Time(hours=5)
    register(FolderRegistry(tmp_path), lone(), trained(lone(), events(2000)), clock=clock)
    rounds, _ = attend(trainer(tmp_path, file, clock), clock, every_us=2 * HOUR_US)
    assert [each.why for each in rounds] == ["schedule", "schedule"]


def test_it_does_not_train_where_something_decides_and_nobody_asks(tmp_path, file):
    clock = Time(hours=5)
    register(FolderRegistry(tmp_path), lone(), trained(lone(), events(2000)), clock=clock)
    assert attend(trainer(tmp_path, file, clock), clock) == ([], [])


def test_it_trains_when_asked(tmp_path, file):
    clock = Time(hours=3)
    register(FolderRegistry(tmp_path), lone(), trained(lone(), events(2000)), clock=clock)
    wishes = iter([None, "somebody asked"])
    rounds, _ = attend(trainer(tmp_path, file, clock), clock, asked=lambda: next(wishes, None))
    assert [each.why for each in rounds] == ["somebody asked"]


def test_a_training_that_fails_is_told_and_tried_again(tmp_path):
    clock = Time(hours=2)
    late = tmp_path / "late.parquet"

    def asked():
        if clock() > SetClock(datetime(2026, 3, 1, 1, tzinfo=UTC))() and not late.exists():
            events(2500).write_parquet(late)

    rounds, failures = attend(trainer(tmp_path, late, clock), clock, asked=asked)
    assert str(late) in str(failures[0])
    assert [each.decides for each in rounds] == [True]


@pytest.mark.parametrize(("promotion", "decides"), [("better", False), ("always", True), ("never", False)])
def test_what_is_worse_on_the_same_test_decides_only_where_it_always_shall(tmp_path, file, promotion, decides):
    """The champion has two members and more to learn from; what is trained now is crippled."""
    clock = Time(hours=1)
    registry = FolderRegistry(tmp_path)
    champion = register(registry, detector(), trained(detector(), events(4000))).report.model_version
    crippled = detector(models=[LogisticRegression(C=1e-9)])
    done = trainer(tmp_path, file, clock, promotion, crippled).train("test")
    assert done.average_precision < done.champion_average_precision
    assert (done.decides, registry.alias("paid", "champion") == champion) == (decides, not decides)


def test_what_is_better_on_the_same_test_decides(tmp_path, file):
    clock = Time(hours=1)
    crippled = detector(models=[LogisticRegression(C=1e-9)])
    register(FolderRegistry(tmp_path), crippled, trained(crippled, events(2500)))
    done = trainer(tmp_path, file, clock, subject=detector()).train("test")
    assert done.average_precision > done.champion_average_precision
    assert done.decides


def test_the_champion_is_held_against_the_test_with_its_own_columns(tmp_path):
    """A champion that reads fewer features in another order scores as it would alone; one that reads others, not at all."""
    new = trained(detector(), events(2500))
    fewer = trained(lone(), events(2500)).ensemble
    np.testing.assert_array_equal(scores_of(fewer, new), fewer.score(new.test.x).ensemble)
    assert metrics.roc_auc(scores_of(fewer, new), new.test.fraud) > 0.5
    register(FolderRegistry(tmp_path), lone(), trained(lone(), events(2500)))
    other = trained(detector(), events(2500)).ensemble
    other.features = ("another", *other.features[1:])
    assert scores_of(other, new) is None


def test_a_champion_that_has_seen_the_test_is_said_to_be_flattered(tmp_path, file):
    clock = Time(hours=1)
    later = trained(lone(), events(2500, days=60))  # its training period reaches past the test of the shorter file
    register(FolderRegistry(tmp_path), lone(), later)
    done = trainer(tmp_path, file, clock).train("test")
    assert any("has seen events of this test" in note for note in done.notes)


def test_a_champion_that_no_longer_fits_is_replaced(tmp_path, file):
    clock = Time(hours=1)
    old = detector(models=[LogisticRegression()], window="2h")
    register(FolderRegistry(tmp_path), old, trained(old, events(2500)))
    [only], _ = attend(trainer(tmp_path, file, clock), clock)
    assert (only.why, only.decides, only.champion_average_precision) == ("nothing decides yet", True, None)


def test_a_request_is_taken_once(tmp_path):
    path = tmp_path / "train-now"
    path.touch()
    assert [take_request(path), take_request(path)] == [True, False]


@pytest.mark.slow
def test_the_command_trains_at_once_then_by_file_and_by_signal_and_stops_cleanly(tmp_path, file):
    """A process of its own, as it would run beside a service."""
    mine = tmp_path / "mine.py"
    text = Path(__file__).with_name("paid.py").read_text()
    mine.write_text(text + "\n\nmine = detector(models=[LogisticRegression()])\n")
    models = tmp_path / "models"
    command = [sys.executable, "-m", "penstock.cli", "trainer", mine, "--data", file, "--models", models, "--json"]
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines, said = [], threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")))
    said.start()

    def rounds(count):
        def there():
            assert process.poll() is None, process.stderr.read()
            return len(lines) >= count

        wait_until(there, 240)
        return [json.loads(line) for line in lines]

    try:
        [first] = rounds(1)
        (models / "paid" / "train-now").touch()
        rounds(2)
        process.send_signal(signal.SIGUSR1)
        told = rounds(3)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        said.join()
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 0
    assert [each["why"] for each in told] == ["nothing decides yet", "train-now", "SIGUSR1"]
    assert {each["version"] for each in told} == {first["version"]}  # nothing is drawn anew
    assert first["decides"]
    assert not (models / "paid" / "train-now").exists()


def test_a_round_says_whether_it_decides():
    assert Round("asked", "a", "a", 0.5).decides
    assert not Round("asked", "a", "b", 0.5).decides


# ---------------------------------------------------------------- by itself


def test_what_is_trained_by_schedule_is_the_challenger_and_never_the_champion(tmp_path, file):
    """It would be better than the champion, and by --promote always it would decide if somebody had asked for it."""
    clock = Time(hours=3)
    crippled = detector(models=[LogisticRegression(C=1e-9)])
    registry = FolderRegistry(tmp_path, clock=clock)
    champion = register(registry, crippled, trained(crippled, events(2500)), clock=clock).report.model_version
    [first, *_], _ = attend(trainer(tmp_path, file, clock, "always", detector()), clock, every_us=2 * HOUR_US)
    assert first.average_precision > first.champion_average_precision
    assert (registry.alias("paid", "champion"), registry.alias("paid", "challenger")) == (champion, first.version)
    assert (first.challenger, first.decides) == (first.version, False)


def test_drift_asks_for_a_training_that_makes_a_challenger(tmp_path, file):
    clock = Time(hours=2)
    registry = FolderRegistry(tmp_path, clock=clock)
    old = trained(detector(), events(4000))
    champion = register(registry, detector(), old, clock=clock).report.model_version
    reasons = iter([None, "drift: amount has moved"])
    rounds = []
    trainer(tmp_path, file, clock, "always").attend(
        every_us=None,
        asked=lambda: None,
        wait=clock.wait,
        on_training=rounds.append,
        failed=pytest.fail,
        drifted=lambda: next(reasons, None),
    )
    assert [each.why for each in rounds] == ["drift: amount has moved"]
    assert (registry.alias("paid", "champion"), registry.alias("paid", "challenger")) == (champion, rounds[0].version)


def test_the_first_model_decides_even_where_drift_asked_for_it(tmp_path, file):
    done = trainer(tmp_path, file, Time(hours=1)).train("drift", by_itself=True)
    assert (done.decides, done.challenger) == (True, None)


def test_a_training_by_itself_that_gives_the_champion_again_challenges_nothing(tmp_path, file):
    clock = Time(hours=1)
    subject = trainer(tmp_path, file, clock)
    subject.train("first")
    again = subject.train("schedule", by_itself=True)
    assert (again.decides, again.challenger) == (True, None)
    assert "nothing has changed" in again.notes[0]


def test_a_new_challenger_is_written_into_the_audit_log(tmp_path, file):
    settings = Settings(data=tmp_path, models=tmp_path / "models")
    registry = FolderRegistry(settings.models_folder)
    register(registry, detector(), trained(detector(), events(4000)))
    done = Trainer(lone(), file, registry).train("schedule", by_itself=True)
    note_challenger(settings, lone(), done, clock=lambda: 7)
    with office_of(settings) as office:
        [entry] = AuditLog(office).entries()
        assert AuditLog(office).verify() is None
    assert (entry.who, entry.action, entry.subject) == ("trainer", "model.challenge", f"models/paid/{done.version}")
    assert entry.details["why"] == "schedule"
    assert entry.details["champion"] == done.champion != done.version


def test_where_there_is_no_data_folder_nothing_is_noted(tmp_path):
    done = Round("schedule", "new", "old", 0.5, challenger="new")
    note_challenger(Settings(data=tmp_path / "none"), lone(), done)
    assert not (tmp_path / "none").exists()


def test_a_worker_trains_first_where_nothing_decides_and_only_there(tmp_path, file, capsys):
    settings = Settings(data=tmp_path)
    train_where_nothing_decides(lone(), file, settings)
    assert "(first start): average precision" in capsys.readouterr().out
    registry = FolderRegistry(settings.models_folder)
    [version] = [entry.version for entry in registry.entries("paid")]
    assert registry.alias("paid", "champion") == version
    train_where_nothing_decides(lone(), tmp_path / "nothing.parquet", settings)  # not read: a version decides
    assert len(registry.entries("paid")) == 1
    with pytest.raises(DataError, match=r"nothing.parquet"):
        train_where_nothing_decides(lone(), tmp_path / "nothing.parquet", Settings(data=tmp_path / "other"))
