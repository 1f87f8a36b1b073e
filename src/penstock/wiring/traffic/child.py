"""A Penstock service as a child process."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO

import msgspec

from penstock.adapters.http import ServiceAddress, Unreachable
from penstock.adapters.load import fetch
from penstock.decoding import prepared
from penstock.errors import NotReady

_LOOK_EVERY_S = 0.1
_SAY_EVERY_S = 5.0
_STOPS_WITHIN_S = 60.0
_LAST = 4_096


def free_port() -> int:
    """A free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    command: Sequence[str],
    url: str,
    *,
    within_s: float,
    say: Callable[[str], None] = lambda _text: None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[None]:
    """Run a service for the duration of a `with` block, which begins when the service is ready.

    Args:
        command: what starts it.
        url: where it answers.
        within_s: the longest time that it may take to become ready.
        say: called every few seconds with the reason why it is not ready.
        environment: of the process; this one's unless given.

    Raises:
        NotReady: it was not ready in time, or it ended, also within the block; the message holds the cause and last output.
    """
    with TemporaryFile() as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=printed, env=environment)  # noqa: S603 -- our own program
        try:
            _wait_until_ready(process, url, printed, within_s, say)
            try:
                yield
            except Unreachable as error:
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(_SAY_EVERY_S)  # its connections break a little before it has ended
                    raise NotReady(f"the service ended with exit code {code}{_last(printed)}") from error
                raise
        finally:
            process.terminate()
            try:
                process.wait(_STOPS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", url: str, printed: IO[bytes], within_s: float, say: Callable[[str], None]
) -> None:
    began = said = time.monotonic()
    while (reason := _not_ready(url)) is not None:
        now = time.monotonic()
        if process.poll() is not None:
            raise NotReady(f"the service did not start: it ended with exit code {process.returncode}{_last(printed)}")
        if now - began > within_s:
            raise NotReady(f"the service was not ready within {within_s:g} s: {reason}{_last(printed)}")
        if now - said > _SAY_EVERY_S:
            said = now
            say(f"waiting for the service since {now - began:.0f} s: {reason}")
        time.sleep(_LOOK_EVERY_S)


class _Readiness(msgspec.Struct):
    """The part of a /ready response that is read."""

    detail: str = "its /ready does not say why"


def _not_ready(url: str) -> str | None:
    """None, or why a service cannot decide."""
    try:
        status, body = fetch(ServiceAddress.of(url), "/ready", within_s=_SAY_EVERY_S)
        return None if status == 200 else msgspec.json.decode(body, type=prepared(_Readiness)).detail
    except Unreachable:
        return "it does not answer yet"
    except msgspec.MsgspecError as error:
        return f"its /ready answers {status} and no reason: {error}"


def _last(printed: IO[bytes]) -> str:
    """The last that a process printed, as the end of a message."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - _LAST))
    text = printed.read().decode(errors="replace").strip()
    return f"; it printed last:\n{text}" if text else "; it printed nothing"
