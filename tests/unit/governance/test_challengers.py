"""Following what is tried: loaded once, and ended at once whatever the registry does."""

from types import SimpleNamespace

import pytest

from penstock.database import SqliteDatabase
from penstock.errors import RegistryError
from penstock.governance import challengers as module


class Registry:
    """Answers until it does not."""

    fails = False

    def alias(self, _detector, name):
        if self.fails:
            raise RegistryError("the registry does not answer")
        return {"champion": "v1"}.get(name)

    def challenge(self, _detector, _version):
        self.alias(_detector, "challenger")


@pytest.fixture
def world(monkeypatch):
    loaded = []

    def load(_registry, _detector, version):
        _registry.alias("d", "champion")
        loaded.append(version)
        return SimpleNamespace(version=version, warm=lambda: None)

    monkeypatch.setattr(module, "fitting", load)
    registry, database = Registry(), SqliteDatabase()
    challengers = module.Challengers(database, SimpleNamespace(name="d"), registry)
    yield challengers, registry, loaded, module.ChallengerSource(challengers, 0.0).newer
    database.close()


def test_a_version_is_loaded_once_however_its_share_grows(world):
    challengers, _, loaded, newer = world
    challengers.trials.shadow("v2", champion="v1", who="ann")
    first = newer(-1)
    challengers.trials.rollout("v2", champion="v1", percent=10, share_of="k", who="ann")
    second = newer(first.revision)
    challengers.trials.rollout("v2", champion="v1", percent=20, share_of="k", who="ann")
    third = newer(second.revision)
    assert loaded == ["v2"]
    assert [first.challengers[0].share, second.challengers[0].share.end, third.challengers[0].share.end] == [None, 10.0, 20.0]
    assert second.challengers[0].share.seed == third.challengers[0].share.seed
    assert newer(third.revision) is None


def test_a_trial_ends_although_the_registry_does_not_answer(world):
    challengers, registry, _, newer = world
    trial = challengers.trials.rollout("v2", champion="v1", percent=10, share_of="k", who="ann")
    before = newer(-1)
    registry.fails = True
    assert challengers.stop(trial, who="guard", why="blocks everything")
    after = newer(before.revision)
    assert (after.challengers, after.revision > before.revision) == ((), True)


def test_what_cannot_be_loaded_is_asked_for_again_later_and_not_all_the_time(world, monkeypatch):
    monkeypatch.setattr(module, "_AGAIN_S", 600.0)
    challengers, registry, loaded, newer = world
    challengers.trials.shadow("v2", champion="v1", who="ann")
    registry.fails = True
    with pytest.raises(RegistryError):
        newer(-1)
    assert newer(-1) is None
    challengers.trials.stop(challengers.trials.running()[0].id, who="ann", why="no use")
    assert newer(-1).challengers == ()
    assert loaded == []


def test_two_processes_that_guard_the_same_trial_end_it_once(world):
    challengers, *_ = world
    trial = challengers.trials.rollout("v2", champion="v1", percent=10, share_of="k", who="ann")
    assert [challengers.stop(trial, who="guard", why="blocks") for _ in range(2)] == [True, False]
