"""Settings: where they come from, which one wins, and what a wrong one is answered with."""

from pathlib import Path

import pytest

from penstock.config import Settings, describe, load_settings
from penstock.errors import ConfigurationError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def load(folder, flags=None, **environment):
    return load_settings(flags, environment=environment, folder=folder)


def test_without_any_source_the_defaults_hold(folder):
    assert load(folder) == Settings()


def test_a_file_wins_over_defaults(folder):
    (folder / "penstock.toml").write_text("port = 9001\nlog_format = 'json'\n")
    assert (load(folder).port, load(folder).log_format) == (9001, "json")


def test_dotenv_wins_over_the_file(folder):
    (folder / "penstock.toml").write_text("port = 9001\n")
    (folder / ".env").write_text("PENSTOCK_PORT=9002\nOTHER=x\n")
    assert load(folder).port == 9002


def test_the_environment_wins_over_dotenv(folder):
    (folder / ".env").write_text("PENSTOCK_PORT=9002\n")
    assert load(folder, PENSTOCK_PORT="9003").port == 9003


def test_a_flag_wins_over_everything(folder):
    (folder / "penstock.toml").write_text("port = 9001\n")
    assert load(folder, {"port": "9004"}, PENSTOCK_PORT="9003").port == 9004


def test_a_flag_that_was_not_given_changes_nothing(folder):
    assert load(folder, {"port": None}, PENSTOCK_PORT="9003").port == 9003


def test_an_empty_variable_counts_as_not_set(folder):
    assert load(folder, PENSTOCK_PORT="").port == 8000


def test_paths_are_paths_whatever_they_come_from(folder):
    (folder / "penstock.toml").write_text("data = 'here'\n")
    assert load(folder, PENSTOCK_MODELS="there") == Settings(data=Path("here"), models=Path("there"))


def test_bundles_are_in_the_data_folder_unless_said_otherwise():
    assert Settings(data=Path("d")).models_folder == Path("d/models")
    assert Settings(data=Path("d"), models=Path("m")).models_folder == Path("m")


def test_an_unknown_key_in_the_file_names_the_file_the_key_and_the_one_that_was_meant(folder):
    (folder / "penstock.toml").write_text("prot = 9001\n")
    with pytest.raises(ConfigurationError, match=r"penstock\.toml: there is no setting 'prot'\. Did you mean port\?"):
        load(folder)


def test_a_file_that_is_not_toml_names_the_line(folder):
    (folder / "penstock.toml").write_text("port = \n")
    with pytest.raises(ConfigurationError, match=r"penstock\.toml is not valid TOML: .*line 1"):
        load(folder)


@pytest.mark.parametrize(
    ("flags", "environment", "message"),
    [
        (
            {},
            {"PENSTOCK_PORT": "99999"},
            "the environment: PENSTOCK_PORT = '99999' cannot be used; allowed is a whole number from 0 to 65535",
        ),
        ({"port": "x"}, {}, "the command line: --port = 'x' cannot be used"),
        ({"snapshot_every_s": "0"}, {}, "--snapshot-every-s = '0' cannot be used; allowed is a number greater than 0"),
        ({}, {"PENSTOCK_LOG_LEVEL": "loud"}, "allowed is one of debug, error, info, warning"),
        ({}, {"PENSTOCK_MAX_BATCH": "1.5"}, "allowed is a whole number from 1 to 65536"),
    ],
)
def test_a_wrong_value_names_source_key_value_and_what_is_allowed(folder, flags, environment, message):
    with pytest.raises(ConfigurationError, match=message.replace(".", r"\.")):
        load(folder, flags, **environment)


def test_a_wrong_type_in_the_file_is_refused(folder):
    (folder / "penstock.toml").write_text("data = 5\n")
    with pytest.raises(ConfigurationError, match=r"penstock\.toml: data = 5 cannot be used; allowed is a path"):
        load(folder)


def test_every_setting_is_described():
    for setting in describe():
        assert setting.description.endswith("."), setting.name
        assert setting.allowed, setting.name


def test_a_table_stands_in_the_file_or_in_one_variable(folder):
    (folder / "penstock.toml").write_text("[replays]\npaid = 'paid.csv'\n")
    assert load(folder).replays == {"paid": Path("paid.csv")}
    found = load(folder, PENSTOCK_REPLAYS="paid=a.csv, other = b=c.parquet").replays
    assert found == {"paid": Path("a.csv"), "other": Path("b=c.parquet")}
    with pytest.raises(ConfigurationError, match="names, each with a path; in the environment `name=value,name=value`"):
        load(folder, PENSTOCK_REPLAYS="a.csv")
    (folder / "penstock.toml").write_text("replays = 3\n")
    with pytest.raises(ConfigurationError, match="replays = 3 cannot be used"):
        load(folder)
