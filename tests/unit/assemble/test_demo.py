"""How a demo is prepared: the first time it trains and warms the state, later times it goes on from there."""

import pytest

from penstock.adapters import world
from penstock.assemble.demo import prepare_demo
from penstock.config import load_settings
from penstock.models import champion


def test_the_first_start_trains_and_the_second_goes_on(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller world than the real one, and everything else as in the real one."""
    monkeypatch.setattr(world, "PEOPLE", 250)
    settings = load_settings({"data": str(tmp_path)}, environment={}, folder=tmp_path)
    said: list[str] = []
    shares: list[float] = []
    demo = prepare_demo(settings, attack=None, say=said.append, progress=shares.append)
    trained = champion(settings.models_folder, "banking")
    assert trained is not None
    assert "first start" in said[0]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    again = prepare_demo(settings, attack=None, say=said.append, progress=shares.append)
    assert len(said) == 1
    assert champion(settings.models_folder, "banking") == trained
    assert again.world.place == demo.world.place
