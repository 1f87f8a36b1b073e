"""compose.yaml and the images, as far as they can be checked without an engine: every command, option and file exists."""

import json
import re
import shlex
from itertools import chain
from pathlib import Path

import click
import pytest
import yaml

from penstock.cli import commands
from penstock.config import PREFIX, describe

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILES = [ROOT / "Dockerfile", ROOT / "deploy" / "compose" / "s3.Dockerfile"]


def calls() -> list[list[str]]:
    """Every call of `penstock` in compose.yaml, as its arguments."""
    found = []
    for service in SERVICES.values():
        if not str(service.get("image", "")).startswith("penstock"):
            continue
        if "entrypoint" not in service:
            found += [service["command"]] if "command" in service else []
        else:
            parts = re.split(r"&&|\|\|", " ".join(map(str, service["command"])))
            found += [shlex.split(part)[1:] for part in parts if part.split()[0] == "penstock"]
    return found


def parsed(arguments: list[str]) -> tuple[click.Command, set[str], set[str]]:
    """The command that these arguments name, the options they use, and those that the command has."""
    command: click.Command = commands
    rest = list(arguments)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest.pop(0))
        assert found is not None
        command = found
    used = {word.partition("=")[0] for word in map(str, rest) if word.startswith("--")}
    return command, used, {name for option in command.params for name in option.opts}


@pytest.mark.parametrize("arguments", calls(), ids=lambda arguments: " ".join(arguments[:2]))
def test_every_command_exists_with_its_options(arguments):
    _, used, known = parsed(arguments)
    assert used <= known


def test_without_another_command_the_image_runs_the_demo():
    [command] = re.findall(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text().split("AS penstock\n")[1], re.MULTILINE)
    arguments = json.loads(command)
    _, used, known = parsed(arguments)
    assert arguments[0] == "demo"
    assert used <= known


def test_the_dev_container_prepares_a_checkout_with_a_target_that_exists():
    declared = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    target = declared["postCreateCommand"].removeprefix("make ")
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_every_setting_in_an_environment_exists():
    used = {name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith(PREFIX)}
    assert used
    assert used <= {PREFIX + setting.name.upper() for setting in describe()}


def test_worker_service_and_trainer_share_what_people_change():
    """A rule that is promoted in the console must reach the worker."""
    sharing = [SERVICES[name] for name in ("worker", "api", "trainer")]
    database = SERVICES["ledger"]["environment"]["PENSTOCK_LEDGER"]
    assert {each["environment"].get("PENSTOCK_OFFICE") for each in sharing} == {database}
    assert all({"postgres", "ledger"} & set(each["depends_on"]) for each in sharing)


def test_compose_calls_penstock_at_all():
    assert {arguments[0] for arguments in calls()} >= {"topics", "simulate", "trainer", "worker", "serve"}


def test_what_a_service_waits_for_exists_and_can_be_waited_for():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            awaited = SERVICES[other]
            if how["condition"] == "service_healthy":
                assert awaited["healthcheck"].get("test"), f"{name} waits for the health of {other}, which has no check"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert awaited["restart"] == "on-failure", f"{other} never completes"


def test_one_command_starts_stack_and_traffic():
    always = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert always >= {"kafka", "redis", "postgres", "s3", "mlflow", "trainer", "api", "worker", "generator"}
    for name in always:
        assert set(SERVICES[name].get("depends_on", {})) <= always


def test_named_volumes_are_declared_and_used():
    used = {str(volume).partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    files = {name for name in used if name.startswith("./")}
    assert used - files == set(COMPOSE["volumes"])
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_what_is_published_is_published_to_this_machine_alone():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_variables_have_defaults_which_the_example_repeats():
    text = (ROOT / "compose.yaml").read_text()
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", text))
    assert len(re.findall(r"\$\{", text)) == len(re.findall(r"\$\{\w+:-", text))
    example = (ROOT / "deploy" / "compose" / ".env.example").read_text()
    assert dict(re.findall(r"^(\w+)=(\S+)", example, re.MULTILINE)) == defaults


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_what_an_image_is_made_of_exists_and_reaches_the_build(path):
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.*)$", path.read_text(), re.MULTILINE)]
    for source in chain.from_iterable(copied):
        assert (ROOT / source).exists()
        assert any(source == kept or source.startswith(kept + "/") for kept in allowed), f"{source} is left out of the build"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_no_image_runs_as_root(path):
    *_, last = re.split(r"^FROM ", path.read_text(), flags=re.MULTILINE)
    assert re.search(r"^USER (?!root)\w+$", last, re.MULTILINE)


def test_images_install_by_hash_alone():
    for line in re.findall(r"pip install (.*)", DOCKERFILES[0].read_text()):
        assert "--require-hashes" in line or "--no-deps" in line
