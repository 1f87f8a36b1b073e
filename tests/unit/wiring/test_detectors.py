"""What DETECTOR on the command line stands for, and what is said where it stands for nothing."""

from pathlib import Path

import pytest

from penstock import Detector, Engine
from penstock.errors import BundleError, ConfigurationError, DeclarationError
from penstock.wiring.detectors import installed, load_detector, load_detectors

MINE = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity

class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    card: str

def declared(name):
    return Detector(name=name, event=Payment, id="transaction_id", time="timestamp", features=[Entity("card").count("1h")])

detector = declared("mine")
"""


def written(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_the_built_in_ones_load():
    assert {"banking", "ecommerce"} <= set(installed())
    assert isinstance(load_detector("banking"), Detector)


def test_a_file_is_a_detector(tmp_path):
    assert load_detector(written(tmp_path, MINE)).name == "mine"


def test_messages_call_a_detector_as_the_command_line_does(tmp_path):
    mine = written(
        tmp_path,
        MINE.replace('.count("1h")]', '.count("1h")], models=[LogisticRegression()]').replace(
            "Entity", "Entity, LogisticRegression", 1
        ),
    )
    with pytest.raises(BundleError, match=f"penstock train {mine} --data FILE --save"):
        Engine(load_detector(mine))
    assert (
        Engine(load_detector(mine), wait_for_models=True).ready
        == f"no model has been trained yet: penstock train {mine} --data FILE --save"
    )
    assert load_detector("banking").with_rules([]).reference == "banking"


def test_two_files_of_one_name_do_not_meet(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = load_detector(written(tmp_path / "a", MINE))
    second = load_detector(written(tmp_path / "b", MINE.replace('"1h"', '"2h"')))
    assert [feature.name for feature in (*first.features, *second.features)] == ["card_count_1h", "card_count_2h"]


def test_one_of_several_is_named_after_the_file(tmp_path):
    path = written(tmp_path, MINE + 'other = declared("another")\n')
    assert load_detector(f"{path}:other").name == "another"
    assert load_detector(f"{path}:another").name == "another"


def test_a_file_with_several_asks_for_one(tmp_path):
    path = written(tmp_path, MINE + 'other = declared("another")\n')
    with pytest.raises(
        ConfigurationError, match=r"declares several detectors; name one: .*mine\.py:detector, .*mine\.py:other"
    ):
        load_detector(path)


def test_an_unknown_name_in_a_file_is_an_error_that_knows_the_others(tmp_path):
    path = written(tmp_path, MINE)
    with pytest.raises(ConfigurationError, match=r"declares no detector 'mnie'\. Did you mean mine\?"):
        load_detector(f"{path}:mnie")


def test_a_file_without_one_says_what_it_needs(tmp_path):
    with pytest.raises(DeclarationError, match=r"declares no detector; it needs one: detector = Detector\("):
        load_detector(written(tmp_path, "x = 1\n"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("def f(:", r"mine\.py:1: invalid syntax"),
        ("\nimport nothing_of_this_name", r"mine\.py:2: ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("\n\n1 / 0", r"mine\.py:3: ZeroDivisionError: division by zero"),
    ],
)
def test_a_file_that_cannot_be_loaded_names_its_line(tmp_path, line, message):
    with pytest.raises(DeclarationError, match=message):
        load_detector(written(tmp_path, line))


def test_a_mistake_in_the_declaration_names_the_line_and_the_remedy(tmp_path):
    text = MINE.replace('Entity("card")', 'Entity("crad")')
    with pytest.raises(DeclarationError, match=r"mine\.py:\d+: .*crad.*card"):
        load_detector(written(tmp_path, text))


def test_a_missing_file_knows_its_neighbours(tmp_path):
    written(tmp_path, MINE)
    with pytest.raises(ConfigurationError, match=r"there is no file .*mien\.py\. Did you mean mine\.py\?"):
        load_detector(str(tmp_path / "mien.py"))


def test_an_unknown_name_says_that_a_file_would_do():
    with pytest.raises(
        ConfigurationError, match=r"no detector 'bank'\. Did you mean banking\? A detector of your own is a file"
    ):
        load_detector("bank")


def test_two_of_one_name_cannot_be_served_together(tmp_path):
    path = written(tmp_path, MINE)
    with pytest.raises(ConfigurationError, match="two of the detectors are called 'mine'"):
        load_detectors((path, path))
