"""Options that several commands share: the DETECTOR argument, settings as flags, and output helpers."""

import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from penstock.adapters.traffic import SentCounts
    from penstock.config import Settings
    from penstock.decision import Guard
    from penstock.offline.datasets import Recorded

F = TypeVar("F", bound=Callable[..., Any])

detector_argument = click.argument("detector")
DESTINATIONS = "http://HOST:PORT, https://HOST:PORT, kafka://HOST:PORT/transactions or redis://HOST:PORT/transactions"
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output, nothing else.")


def instant(text: str | datetime) -> datetime:
    """The option type of instants, parsed like event times; without a zone they are UTC."""
    from penstock.clock import from_us
    from penstock.ingest.kernel import READ
    from penstock.ingest.times import FIRST_US, instants, outside

    found, state = instants([text], "UTC")
    if state[0] != READ or outside(found, FIRST_US)[0]:
        raise click.BadParameter(
            f"{text!r} is no time from 1970 to 2100; write 2026-02-06, 2026-02-06T10:00:00Z or seconds since 1970"
        )
    return from_us(int(found[0]))


guard_options = click.option(
    "--guard",
    "guards",
    multiple=True,
    metavar="GUARD",
    help="In place of the policy's, as in 'block_rate more=0.02 window=10m least=300'; `none` for no guard at all.",
)


def read_guards(guards: Sequence[str]) -> "list[Guard] | None":
    """Parse the guards of `guard_options`; None without any.

    Raises:
        DeclarationError: one of them is invalid.
    """
    from penstock.decision.guard import guard_of

    return [guard_of(each) for each in guards if each != "none"] if guards else None


class SettingOption(click.Option):
    """A flag for one setting of `penstock.config`, which is imported only for help or to read it."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The flag with the setting's description and default."""
        from penstock.config import describe

        found = next(setting for setting in describe() if setting.name == self.name)
        default = "" if found.default is None else f"  [{found.default}]"
        self.help = found.description.replace("`", "") + default
        return super().get_help_record(ctx)


def settings(*names: str) -> Callable[[F], F]:
    """Add a flag for each of these settings; `settings_from` reads them."""

    def add(function: F) -> F:
        for name in reversed(names):
            flag = "--" + name.replace("_", "-")
            function = click.option(flag, name, cls=SettingOption, metavar=_METAVARS.get(name, "VALUE"))(function)
        return function

    return add


_METAVARS = {
    "host": "ADDRESS",
    "port": "N",
    "tls_cert": "FILE",
    "tls_key": "FILE",
    "tls_client_ca": "FILE",
    "data": "DIR",
    "models": "DIR",
    "alerts": "FILE",
    "ledger": "URL",
    "ledger_log": "LOG",
    "redis": "URL",
    "archive": "URL",
    "key": "KEY",
    "office": "URL",
    "on_timeout": "OUTCOME",
    "max_refused": "SHARE",
}


accept_loss_flag = click.option(
    "--accept-loss",
    is_flag=True,
    help="For one start: go on though acknowledged records of the ledger are missing or damaged; noted in the log of changes.",
)


no_deliver_flag = click.option(
    "--no-deliver",
    is_flag=True,
    help="Send no webhooks and no alerts: they wait. For a copy of a data folder next to the original.",
)


def accepting(flags: dict[str, Any], *, accept_loss: bool, no_deliver: bool = False) -> dict[str, Any]:
    """Flags for `settings_from`, with `accept_loss` and `deliver` if given."""
    return flags | ({"accept_loss": "true"} if accept_loss else {}) | ({"deliver": "false"} if no_deliver else {})


def settings_from(**flags: Any) -> "Settings":
    """The settings in force; these flags override all other sources."""
    from penstock.config import load_settings

    return load_settings(flags)


def read_events(detector: str, data: "Path | str", chosen: "Settings") -> "Recorded":
    """Recorded events of a file or an archive; reports refused rows.

    Raises:
        DataError: they do not fit the detector, or more of them than the settings allow were refused.
    """
    from penstock.offline.datasets import accepted
    from penstock.wiring.traffic.events import read_recorded

    recorded = accepted(read_recorded(detector, data), chosen.max_refused)
    if recorded.refusals:
        say(recorded.refusals)
    return recorded


def print_json(value: Any) -> None:
    """Print one JSON value to standard output."""
    import msgspec

    click.echo(msgspec.json.encode(value, enc_hook=str))


def say(message: str) -> None:
    """Print a message to standard error, so that it never mixes with results."""
    click.echo(message, err=True)


def show_table(
    rows: Iterable[Sequence[object]], head: Sequence[str] = (), *, right: Container[int] = (), indent: int = 0
) -> None:
    """Print a table with aligned columns. A terminal wraps long cells; elsewhere each row is one line.

    head: titles, if any. right: columns aligned to the right.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    shown = [[Text("" if cell is None else str(cell)) for cell in row] for row in rows]
    table = Table(box=None, show_header=bool(head), header_style="", pad_edge=False, padding=(0, 2, 0, 0))
    for place in range(len(head) or max(map(len, shown), default=0)):
        table.add_column(head[place] if head else "", justify="right" if place in right else "left", overflow="fold")
    for cells in shown:
        table.add_row(*cells)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _UNBROKEN)
    with console.capture() as captured:
        console.print(Padding(table, (0, 0, 0, indent), expand=False))
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


_UNBROKEN = 100_000
"""Columns of a table that goes to a file or program, so that no line is broken."""

Advance = Callable[[float], None]
"""Reports progress, as a share from 0 to 1."""


@contextmanager
def progress(title: str) -> Iterator[Advance]:
    """A progress bar on standard error; without a terminal a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(title).advance
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share: bar.update(task, completed=share)


class ProgressLines:
    """Reports progress as lines on standard error, at most one in `every_s`, and none for work that is done before that."""

    def __init__(self, title: str, *, every_s: float = 2.0, now_s: Callable[[], float] = time.monotonic) -> None:
        self._title, self._every_s, self._now_s = title, every_s, now_s
        self._said, self._said_s = 0, now_s()

    def advance(self, share: float) -> None:
        """Say the share that is done, in per cent, if it is another one and time for it."""
        percent, now_s = int(100 * share), self._now_s()
        if percent > self._said and now_s >= self._said_s + self._every_s:
            say(f"{self._title}: {percent} %")
            self._said, self._said_s = percent, now_s


@contextmanager
def sending(events: int | None) -> Iterator[Callable[["SentCounts"], None]]:
    """A progress bar for events sent to a service, and a closing line with the results."""
    last: list[SentCounts] = []
    with progress("sending") as advance:

        def on_sent(sent: "SentCounts") -> None:
            last[:] = [sent]
            advance(min(1.0, (sent.total - sent.labels) / events) if events else 0.0)

        try:
            yield on_sent
        finally:
            if last:
                say(_outcome(last[0]))


def _outcome(sent: "SentCounts") -> str:
    decided = ", ".join(f"{count:,} {decision.lower()}" for decision, count in sent.decisions.most_common())
    refused = f"; {sent.refused:,} refused, the first: {sent.first_refusal}" if sent.refused else ""
    labels = f" and {sent.labels:,} labels" if sent.labels else ""
    return f"{sent.accepted:,} events{labels} accepted{f' ({decided})' if decided else ''}{refused}"
