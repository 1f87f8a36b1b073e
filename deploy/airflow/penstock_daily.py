"""Airflow: the report of each day, for every detector that is named, after the day is over.

Put this file into the DAG folder. It asks nothing of Airflow but the BashOperator, and nothing of the worker that runs the
task but the `penstock` command; README.md says how to give it both. Airflow 2.4 or later, and 3.
"""

import os
import shlex
from datetime import datetime, timedelta, timezone
from pathlib import PurePath

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2
    from airflow import DAG
try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator


def setting(name: str, default: str) -> str:
    """What a variable of the environment says; read where the DAG is parsed, so that parsing asks no database."""
    return os.environ.get(name, default)


DETECTORS = setting("PENSTOCK_DAILY_DETECTORS", "").split()
SCHEDULE = setting("PENSTOCK_DAILY_SCHEDULE", "30 0 * * *")
RETRIES = int(setting("PENSTOCK_DAILY_RETRIES", "3"))


def variable(name: str, default: str) -> str:
    """What an Airflow variable says, or else the default; looked up where the task runs, not where the DAG is parsed."""
    return f"{{{{ var.value.get({name!r}, {default!r}) }}}}"


DAY = "{{ (dag_run.conf or {}).get('date') or ((data_interval_end - macros.timedelta(days=1)) | ds) }}"
"""The day that has just ended; another where the run was triggered with {"date": "2026-01-14"}."""

COMMAND = variable("penstock_command", setting("PENSTOCK_COMMAND", "penstock"))

# Values reach the shell as variables, so that nothing in them is read as a command.
ENVIRONMENT = {
    "PENSTOCK_DATA": variable("penstock_data", setting("PENSTOCK_DATA", "penstock-data")),
    "PENSTOCK_DAILY_OUT": variable("penstock_reports", setting("PENSTOCK_DAILY_OUT", "reports")),
    "PENSTOCK_DAILY_BY": variable("penstock_by", setting("PENSTOCK_DAILY_BY", "decided")),
    "PENSTOCK_DAILY_DATE": DAY,
}


def command(detector: str) -> str:
    """The line that a task runs. detector: '' stands for all that have decided anything."""
    which = f" {shlex.quote(detector)}" if detector else ""
    where = '--data "$PENSTOCK_DATA" --out "$PENSTOCK_DAILY_OUT"'
    return f'{COMMAND} report daily{which} --date "$PENSTOCK_DAILY_DATE" --by "$PENSTOCK_DAILY_BY" {where}'


with DAG(
    dag_id="penstock_daily",
    description="What Penstock decided yesterday: JSON, CSV and a page for each detector.",
    schedule=SCHEDULE,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),  # noqa: UP017 -- Airflow's own Python may be older
    catchup=False,
    max_active_runs=1,
    default_args={
        "retries": RETRIES,
        "retry_delay": timedelta(minutes=10),
        "execution_timeout": timedelta(hours=1),
    },
    tags=["penstock"],
) as dag:
    for name in DETECTORS or [""]:
        BashOperator(
            task_id=f"report_{PurePath(name).stem}" if name else "report",
            bash_command=command(name),
            env=ENVIRONMENT,
            append_env=True,
        )
