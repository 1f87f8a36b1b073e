"""dvc.yaml: its stages are commands that run, and each makes what the next one needs."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from penstock.cli import commands

ROOT = Path(__file__).parents[2]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def lines(stage):
    return stage["cmd"] if isinstance(stage["cmd"], list) else [stage["cmd"]]


def made(stage):
    return {*stage.get("outs", []), *(next(iter(metric)) for metric in stage.get("metrics", []))}


def test_the_stages_are_simulate_train_and_evaluate_and_feed_one_another():
    assert list(STAGES) == ["simulate", "train", "evaluate"]
    there: set[str] = set()
    for stage in STAGES.values():
        assert all((ROOT / needed).exists() for needed in stage["deps"] if not needed.startswith("build/"))
        assert {needed for needed in stage["deps"] if needed.startswith("build/")} <= there
        there |= made(stage)


def test_the_commands_run_one_after_the_other_and_make_what_they_promise(tmp_path, monkeypatch):
    """As written, but for fewer events."""
    monkeypatch.chdir(tmp_path)
    for stage in STAGES.values():
        for line in lines(stage):
            command, _, target = re.sub(r"--events \d+", "--events 20000", line).partition(" > ")
            program, *arguments = shlex.split(command)
            if program == "mkdir":
                subprocess.run([program, *arguments], check=True)
                continue
            assert program == "penstock"
            result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
            assert result.exit_code == 0, result.output
            if target:
                Path(target).write_text(result.stdout)
        assert all(Path(each).exists() for each in made(stage))
    trained, judged = (json.loads(Path(f"build/{name}.json").read_text()) for name in ("train", "evaluate"))
    assert trained["model_version"] == trained["champion"]
    assert judged["worth"]["score"]["roc_auc"] > 0.8


def test_a_fresh_clone_is_a_repository_of_the_pipeline():
    assert (ROOT / ".dvc" / "config").is_file()


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_says_what_it_is_for(name):
    assert STAGES[name]["desc"].endswith(".")
