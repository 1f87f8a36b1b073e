"""A service that was closed is not opened by an office that is lost."""

import stat

import pytest

from penstock.config import Settings
from penstock.errors import ConfigurationError
from penstock.identity.closed_access import FILE, anybody_in, check_closed, remember_closed
from penstock.identity.keys import Keys
from penstock.wiring.database import office_of


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "data")


def closed(settings: Settings) -> None:
    with office_of(settings) as office:
        Keys(office).add("checkout", ["decider"], who="local")


def check(settings: Settings) -> None:
    with office_of(settings) as office:
        check_closed(settings.data, "office.sqlite", anybody=anybody_in(office))


def test_an_open_service_stays_open_and_a_closed_one_starts(settings):
    check(settings)
    assert not (settings.data / FILE).exists()
    closed(settings)
    check(settings)
    assert stat.S_IMODE((settings.data / FILE).stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["deleted", "emptied", "replaced"])
def test_an_office_that_was_lost_is_refused_until_somebody_has_access_again(settings, damage, tmp_path):
    closed(settings)
    path = settings.data / "office.sqlite"
    for side in settings.data.glob("office.sqlite*"):
        side.unlink()
    if damage == "emptied":
        path.touch()
    if damage == "replaced":
        with office_of(Settings(data=tmp_path / "other")):
            pass
        (tmp_path / "other" / "office.sqlite").rename(path)
    with pytest.raises(ConfigurationError, match=r"access\.closed.*penstock keys add"):
        check(settings)
    closed(settings)
    check(settings)


def test_remembering_twice_changes_nothing(settings):
    remember_closed(settings.data)
    before = (settings.data / FILE).stat().st_ino
    remember_closed(settings.data)
    assert (settings.data / FILE).stat().st_ino == before
