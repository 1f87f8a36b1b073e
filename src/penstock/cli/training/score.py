"""`penstock score`: decides NDJSON events."""

import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import click

from penstock.cli.options import detector_argument, say, settings, settings_from

_READ_BYTES = 1 << 18
_MOST_AT_ONCE = 256


@click.command()
@detector_argument
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@settings("models", "data", "office", "max_refused")
def command(detector: str, file: Path | None, **flags: str | None) -> None:
    """Decide events given as NDJSON, one decision per line.

    Without FILE events are read from standard input. State begins empty and is kept in memory. An invalid line is
    answered in its place with the error; if there are more of them than --max-refused allows, the exit code is 1.
    Features and lists come from the office of --data or --office, if there is one.
    """
    import msgspec

    from penstock.errors import RowsRefused
    from penstock.messages import Refusal
    from penstock.wiring.detectors import load_detector
    from penstock.wiring.engines import engine_in_memory
    from penstock.wiring.governance import key_kept, with_stored_features_and_lists

    chosen = settings_from(**flags)
    loaded = with_stored_features_and_lists(load_detector(detector), chosen)
    engine = engine_in_memory(loaded, chosen, key=key_kept(loaded, chosen))
    output = sys.stdout.buffer
    read = refused = 0
    with file.open("rb") if file else nullcontext(sys.stdin.buffer) as stream:
        for bodies in batches(stream):
            read += len(bodies)
            for answer in engine.decide_json(bodies):
                if isinstance(answer, Refusal):
                    refused += 1
                    answer = msgspec.json.encode(answer)  # noqa: PLW2901 -- its line
                output.write(answer + b"\n")
            output.flush()
    if refused:
        say(f"{refused:,} of {read:,} lines are no events of {detector}; their answers say why")
    if refused > chosen.max_refused * read:
        raise RowsRefused(
            f"at most {chosen.max_refused:.4g} of all lines may be no events; repair them, or allow more: --max-refused"
        )


def batches(stream: IO[Any]) -> Iterator[list[bytes]]:
    """Lines as they come, without waiting for more: a slow producer gets its answers at once."""
    rest = b""
    while data := os.read(stream.fileno(), _READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        yield from _chunks(lines)
    yield from _chunks([rest])


def _chunks(lines: list[bytes]) -> Iterator[list[bytes]]:
    lines = [line for line in lines if line.strip()]
    for start in range(0, len(lines), _MOST_AT_ONCE):
        yield lines[start : start + _MOST_AT_ONCE]
