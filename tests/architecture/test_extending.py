"""What docs/guide/extending.md says is enough to add something is enough."""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from penstock import Engine, Entity, cli
from penstock.errors import ConfigurationError
from penstock.features.vocabulary import KINDS, LINKED
from penstock.models import kinds as model_kinds
from penstock.wiring import streams
from penstock.wiring.detectors import load_detector


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_command_is_a_file_and_a_line(folder, monkeypatch):
    (folder / "hello.py").write_text(
        'import click\n\n@click.command()\ndef command():\n    """Say hello."""\n    click.echo("hello")\n'
    )
    monkeypatch.setitem(cli.COMMANDS, "hello", "hello")
    monkeypatch.setattr(cli, "__path__", [*cli.__path__, str(folder)])
    said = CliRunner().invoke(cli.commands, ["hello"])
    assert (said.exit_code, said.output) == (0, "hello\n")
    assert "Say hello." in CliRunner().invoke(cli.commands, ["--help"]).output


def test_a_kind_of_model_is_a_file(folder, monkeypatch):
    (folder / "gaussian.py").write_text(
        "from penstock.models.declared import DeclaredModel\n\n"
        "class Gaussian(DeclaredModel, frozen=True, kw_only=True):\n"
        '    """A score by distance."""\n\n    name: str = "gaussian"\n'
    )
    monkeypatch.setattr(model_kinds, "__path__", [*model_kinds.__path__, str(folder)])
    try:
        assert model_kinds.kinds()["gaussian"]().name == "gaussian"
    finally:
        sys.modules.pop(f"{model_kinds.__name__}.gaussian", None)


def test_a_broker_is_an_adapter_and_a_line(folder, monkeypatch):
    (folder / "nats_adapter.py").write_text(
        "class NatsBroker:\n    def __init__(self, url, detector):\n        self.place = url, detector\n"
    )
    monkeypatch.setitem(streams.BROKERS, "nats", "nats_adapter:NatsBroker")
    assert streams.open_broker("nats://here", "shop").place == ("nats://here", "shop")
    with pytest.raises(ConfigurationError, match="Did you mean nats"):
        streams.open_broker("nat://here", "shop")


def test_the_console_offers_every_kind_of_aggregate():
    """The form of a feature lists what the vocabulary has, but for links, which are declared in the detector's file."""
    form = (Path(__file__).parents[2] / "console/src/screens/features/body.ts").read_text()
    offered = re.search(r"AGGREGATES = \[(.*?)\]", form, re.DOTALL)
    assert offered is not None
    assert set(re.findall(r'"(\w+)"', offered[1])) == set(KINDS) - set(LINKED)


def test_an_entity_has_a_method_for_every_kind_of_aggregate():
    """With the kind's name; what is known of linked keys is asked of `linked`."""
    assert set(KINDS) - set(LINKED) <= set(dir(Entity))


def test_a_detector_is_a_file(folder):
    place = folder / "mine.py"
    place.write_text(
        "from datetime import datetime\n\nimport msgspec\n\nfrom penstock import Detector, Rule\n\n\n"
        "class Payment(msgspec.Struct):\n    id: str\n    at: datetime\n    amount: float\n\n\n"
        'detector = Detector("shop", event=Payment, id="id", time="at", rules=[Rule("large", "amount > 9", then="block")])\n'
    )
    decision = Engine(load_detector(str(place))).decide({"id": "1", "at": "2026-01-05T10:00:00Z", "amount": 10.0})
    assert (decision.detector, decision.decision) == ("shop", "BLOCK")
