"""The DAG that comes with Penstock: it has the tasks it promises, and penstock understands their commands."""

import os
import re
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest

from penstock.cli import commands

PATH = Path(__file__).parents[2] / "deploy" / "airflow" / "penstock_daily.py"
DAY = "2026-01-14"
VARIABLE = re.compile(r"\{\{ var\.value\.get\('(\w+)', '([^']*)'\) \}\}")


class Operator:
    """Stands in for the BashOperator: it knows the arguments that the real one takes."""

    def __init__(self, *, task_id, bash_command, env=None, append_env=False):
        assert append_env  # the command is looked for on the worker's PATH
        self.task_id, self.bash_command, self.env = task_id, bash_command, env
        Dag.current.tasks.append(self)


class Dag:
    """Stands in for Airflow's DAG."""

    current = None

    def __init__(self, *, dag_id, description, schedule, start_date, catchup, max_active_runs, default_args, tags):
        self.dag_id, self.schedule, self.start_date, self.catchup = dag_id, schedule, start_date, catchup
        self.default_args, self.tasks = default_args, []

    def __enter__(self):
        Dag.current = self
        return self

    def __exit__(self, *error):
        Dag.current = None


def modules(version):
    """The modules of that Airflow that the file may import."""
    places = {
        2: {"airflow": {"DAG": Dag}, "airflow.operators": {}, "airflow.operators.bash": {"BashOperator": Operator}},
        3: {
            "airflow": {},
            "airflow.sdk": {"DAG": Dag},
            "airflow.providers": {},
            "airflow.providers.standard": {},
            "airflow.providers.standard.operators": {},
            "airflow.providers.standard.operators.bash": {"BashOperator": Operator},
        },
    }
    found = {}
    for name, content in places[version].items():
        found[name] = types.ModuleType(name)
        found[name].__path__ = []
        vars(found[name]).update(content)
    return found


@pytest.fixture(params=[2, 3])
def load(request, monkeypatch):
    """Loads the DAG file as the scheduler would."""
    for name, module in modules(request.param).items():
        monkeypatch.setitem(sys.modules, name, module)

    def load_it(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        module = types.ModuleType("penstock_daily")
        exec(compile(PATH.read_text("utf-8"), PATH, "exec"), vars(module))
        return module.dag

    return load_it


def filled(text, variables):
    """A template as Airflow would fill it in for one day."""
    text = VARIABLE.sub(lambda match: variables.get(match[1], match[2]), text)
    return text.replace("{{ (dag_run.conf or {}).get('date') or ((data_interval_end - macros.timedelta(days=1)) | ds) }}", DAY)


@pytest.fixture
def ran(tmp_path):
    """Runs a task in a real shell, with a command that says its arguments, and has penstock read them."""
    for name in ("penstock", "other"):
        (tmp_path / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        (tmp_path / name).chmod(0o755)

    def run_it(task, **variables):
        environment = {name: filled(value, variables) for name, value in task.env.items()}
        environment["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        line = ["bash", "-c", filled(task.bash_command, variables)]
        said = subprocess.run(line, env=environment, capture_output=True, text=True, check=True).stdout
        program, *arguments = said.splitlines()
        assert arguments[:2] == ["report", "daily"]
        daily = commands.get_command(click.Context(commands), "report").commands["daily"]
        return program, daily.make_context("daily", arguments[2:]).params

    return run_it


def test_one_task_reports_on_all_detectors_every_night(load, ran):
    dag = load()
    assert (dag.dag_id, dag.schedule, dag.catchup, dag.default_args["retries"]) == ("penstock_daily", "30 0 * * *", False, 3)
    [task] = dag.tasks
    assert task.task_id == "report"
    program, said = ran(task)
    assert (program, said["detector"], said["data"], str(said["out"])) == ("penstock", None, "penstock-data", "reports")
    assert (said["date"].isoformat(), said["by"]) == (DAY, "decided")
    assert ran(task, penstock_by="event")[1]["by"] == "event"


def test_each_detector_that_is_named_has_a_task_of_its_own(load, ran):
    dag = load(PENSTOCK_DAILY_DETECTORS="banking /srv/mine.py", PENSTOCK_DAILY_SCHEDULE="0 6 * * *")
    assert [task.task_id for task in dag.tasks] == ["report_banking", "report_mine"]
    assert dag.schedule == "0 6 * * *"
    assert [ran(task)[1]["detector"] for task in dag.tasks] == ["banking", "/srv/mine.py"]


def test_variables_of_airflow_win_over_the_environment_and_are_never_read_as_commands(load, ran):
    [task] = load(PENSTOCK_DATA="/srv/one", PENSTOCK_COMMAND="other", PENSTOCK_DAILY_OUT="/srv/reports").tasks
    program, said = ran(task)
    assert (program, said["data"], str(said["out"])) == ("other", "/srv/one", "/srv/reports")
    odd = '/srv/two folders/"; echo $(hostname) #'
    program, said = ran(task, penstock_data=odd, penstock_command="penstock")
    assert (program, said["data"]) == ("penstock", odd)


def test_everything_that_can_be_set_is_in_the_readme():
    text = PATH.with_name("README.md").read_text("utf-8")
    source = PATH.read_text("utf-8")
    names = set(re.findall(r"PENSTOCK_\w+", source)) | set(re.findall(r"\(\"(penstock_\w+)\"", source))
    assert len(names) >= 9
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
