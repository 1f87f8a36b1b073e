"""How a demo is prepared: the first time it trains and warms the state, later times it goes on from there."""

from datetime import UTC, datetime, timedelta

import pytest

from penstock.adapters import world
from penstock.clock import from_us
from penstock.config import load_settings
from penstock.models import champion
from penstock.wiring import demo as demo_of
from penstock.wiring.demo import prepare_demo
from penstock.wiring.engines import open_engine


def test_the_first_start_trains_and_the_second_goes_on(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller world than the real one, and everything else as in the real one."""
    monkeypatch.setattr(world, "PEOPLE", 250)
    monkeypatch.setattr(demo_of, "_TRAINED_PEOPLE", 250)
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
    assert demo.world.place.seed == again.world.place.seed
    with open_engine(demo.detector, settings) as engine:
        loaded, newest = engine.ledger.next_seq, from_us(engine.pipeline.state.clock_us)
    assert timedelta(0) <= datetime.now(UTC) - newest < timedelta(hours=12)

    (tmp_path / "demo.json").write_text('{"seed": 1, "reached": "2025-01-22T06:00:00Z"}')
    prepare_demo(settings, attack=None, say=said.append, progress=shares.append)
    with open_engine(demo.detector, settings) as engine:
        assert engine.ledger.next_seq > loaded, "what a folder of before lacks is loaded"
