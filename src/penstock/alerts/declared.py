"""The file of alerts: rules and channels, as TOML.

limit = 60                      # alerts of all rules within an hour
defaults = true                 # include the rules that come with Penstock and with the detector

[channels.ops]
kind = "slack"
url = "${SLACK_URL}"            # a variable of the environment

[[alerts]]
name = "large_block"
when = "decision = 'BLOCK' AND amount > 10000"
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from penstock.alerts.evaluator import LIMIT
from penstock.alerts.rule import Kind, rule_of
from penstock.errors import ConfigurationError, DeclarationError, did_you_mean

DEFAULTS = "defaults"
"""The setting's value for the rules that come with Penstock alone, and no channel."""

DEFAULT_FILE = "alerts.toml"
"""The file next to a detector's file that holds rules made for it."""

TABLES = ("alerts", "channels", "alerting")
"""The tables of a file of alerts; they may be in `penstock.toml` as well."""

_ALERTING = ("limit", "defaults")
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class AlertDeclarations:
    """The content of a file of alerts. channels: their tables by name, with variables filled in. file: its name."""

    rules: tuple[Kind, ...] = ()
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    limit: int = LIMIT
    file: str = DEFAULTS


def read_alerts(
    path: Path, folders: Sequence[Path | None] = (), environment: Mapping[str, str] | None = None
) -> AlertDeclarations:
    """Read a file of alerts, with the default rules if it includes them.

    Args:
        path: the file, or `defaults`.
        folders: those of the served detectors, whose own rules belong to the defaults.
        environment: the source of `${NAME}`; the process's unless given.

    Raises:
        ConfigurationError: the file cannot be read or parsed.
        DeclarationError: a rule is invalid.
    """
    if str(path) == DEFAULTS:
        return AlertDeclarations(tuple(_merged([], _defaults(folders))))
    said = _table(path)
    _check_keys(said, (*TABLES, *(said if path.name == "penstock.toml" else ())), str(path))
    overall = said.get("alerting", {})
    _check_keys(overall, _ALERTING, f"{path}: [alerting]")
    limit, defaults = overall.get("limit", LIMIT), overall.get("defaults", False)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ConfigurationError(f"{path}: limit = {limit!r} is no number of alerts within an hour; write {LIMIT}")
    if not isinstance(defaults, bool):
        raise ConfigurationError(f"{path}: defaults = {defaults!r} is not understood; write true or false")
    rules = _rules(said, str(path))
    variables = os.environ if environment is None else environment
    return AlertDeclarations(
        tuple(_merged(rules, _defaults(folders)) if defaults else rules),
        _channels(said.get("channels", {}), path, variables),
        limit,
        str(path),
    )


def _check_keys(table: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(table, dict):
        raise ConfigurationError(f"{where} is a table, not {table!r}")
    for key in table:
        if key not in known:
            raise ConfigurationError(f"{where}: {key!r} is not understood.{did_you_mean(key, known)}")


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"alerts cannot be read from {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error


def _rules(said: Mapping[str, Any], where: str) -> list[Kind]:
    tables = said.get("alerts", [])
    if not isinstance(tables, list):
        raise ConfigurationError(f"{where}: rules stand in tables headed [[alerts]], not alerts = {tables!r}")
    rules: list[Kind] = []
    for table in tables:
        rule = rule_of(table, where)
        if rule.name in {other.name for other in rules if other.detector == rule.detector}:
            raise DeclarationError(f"{rule.place} is declared twice; give one of them another name")
        rules.append(rule)
    return rules


def _defaults(folders: Sequence[Path | None]) -> list[Kind]:
    found = _rules(tomllib.loads(files("penstock.alerts").joinpath("defaults.toml").read_text("utf-8")), "the defaults")
    for folder in dict.fromkeys(folders):
        if folder is not None and (folder / DEFAULT_FILE).is_file():
            found = _merged(_rules(_table(folder / DEFAULT_FILE), str(folder / DEFAULT_FILE)), found)
    return found


def _merged(first: list[Kind], then: list[Kind]) -> list[Kind]:
    """All rules; of two with one name, about the same detector, the first."""
    known = {(rule.name, rule.detector) for rule in first} | {(rule.name, None) for rule in first if rule.detector is None}
    return [*first, *(rule for rule in then if (rule.name, rule.detector) not in known)]


def _channels(tables: Any, path: Path, environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(f"{path}: channels stand in tables of their own, headed [channels.NAME]")
    return {name: _filled(table, f"{path}: channel {name!r}", environment) for name, table in tables.items()}


def _filled(value: Any, place: str, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, place, environment) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, place, environment) for each in value]
    if not isinstance(value, str):
        return value
    for name in _VARIABLE.findall(value):
        if not environment.get(name):
            raise ConfigurationError(f"{place}: ${{{name}}} is not set in the environment; set it, or take the channel out")
    return _VARIABLE.sub(lambda match: environment[match[1]], value)
