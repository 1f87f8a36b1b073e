"""The command line: one file per command, each of them thin, in folders by what they are for.

Only click is imported before a command runs, so that `penstock --help` answers at once. The work of a command is
implemented where Python can use it as well: in `offline`, `service` and `wiring`.
"""

import importlib
import os
import sys
from collections import ChainMap
from collections.abc import Sequence

import click

from penstock.errors import (
    ConfigurationError,
    DataError,
    DeclarationError,
    MalformedEvent,
    PenstockError,
    RowsRefused,
    did_you_mean,
)

GROUPS = {
    "Run": {
        "demo": "serving.demo",
        "serve": "serving.serve",
        "worker": "serving.worker",
        "topics": "serving.topics",
        "spark": "serving.spark",
        "replay": "traffic.replay",
        "score": "training.score",
        "load": "traffic.load",
        "simulate": "traffic.simulate",
        "send": "traffic.send",
        "loadtest": "traffic.loadtest",
    },
    "Train": {
        "init": "training.init",
        "train": "training.train",
        "trainer": "training.trainer",
        "models": "training.models",
        "report": "training.report",
        "drift": "training.drift",
        "lab": "serving.lab",
    },
    "Change": {
        "rules": "changes.rules",
        "lists": "changes.lists",
        "features": "changes.features",
        "backtest": "changes.backtest",
        "trials": "changes.trials",
    },
    "Look": {
        "explain": "records.explain",
        "verify": "records.verify",
        "query": "records.query",
        "cases": "records.cases",
        "labels": "records.labels",
        "alerts": "records.alerts",
        "detectors": "detectors",
        "explain-plan": "explain_plan",
    },
    "Administer": {
        "users": "records.users",
        "keys": "records.keys",
        "audit": "records.audit",
        "erase": "records.erase",
        "ledger": "records.ledger",
        "doctor": "doctor",
        "version": "version",
    },
}
"""The commands and their modules by what they are for, in the order in which people need them."""

COMMANDS = ChainMap(*reversed(GROUPS.values()))
"""All of them, in the same order."""

_LONGEST_SUMMARY = 1_000
"""More characters than any summary has, so that none is cut."""

WRONG_INPUT = (ConfigurationError, DataError, DeclarationError, MalformedEvent)


class Commands(click.Group):
    """Imports a command's module when the command is requested."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """The names, in the order of COMMANDS."""
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by group, each with its whole summary."""
        width = max(map(len, COMMANDS))
        for title, group in GROUPS.items():
            with formatter.section(title):
                summaries = [(name.ljust(width), self._summary(ctx, name)) for name in group]
                formatter.write_dl(summaries)

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return "" if command is None else command.get_short_help_str(limit=_LONGEST_SUMMARY)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command with this name.

        Raises:
            UsageError: no command has this name; suggests similar names.
        """
        if cmd_name not in COMMANDS:
            raise click.UsageError(f"there is no command {cmd_name!r}.{did_you_mean(cmd_name, COMMANDS)}", ctx)
        command = importlib.import_module(f"penstock.cli.{COMMANDS[cmd_name]}").command
        assert isinstance(command, click.Command)
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="penstock", message="%(version)s", help="Show the version.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def commands(debug: bool) -> None:
    """Decide about every transaction while it happens: approve, review or block.

    DETECTOR is the name of one that is installed (penstock detectors lists them) or a Python file: mine.py, or
    mine.py:name where the file declares several.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0 done, 1 the work failed, 2 wrong usage or input."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. Files it writes are readable by their owner alone."""
    others = os.umask(0o077)
    try:
        return int(commands.main(list(arguments), prog_name="penstock", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:  # the reader of our output has closed it, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if "--debug" in arguments[:1]:
            raise
        _show_error(error)
        return 2 if isinstance(error, WRONG_INPUT) and not isinstance(error, RowsRefused) else 1
    finally:
        os.umask(others)


def _show_error(error: Exception) -> None:
    """Report the error that ended a command: to the person, or in the log if programs read it."""
    from penstock.cli.logs import in_json

    if in_json():
        import logging

        logging.getLogger("penstock").critical("%s", explained(error))
    else:
        click.echo(f"Error: {explained(error)}", err=True)


def explained(error: Exception) -> str:
    """The error message for the person at the terminal."""
    if isinstance(error, PenstockError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error} (unexpected; `penstock --debug ...` shows where)"
