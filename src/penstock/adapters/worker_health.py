"""Health checks of workers, at the address where each answers `/health` (`penstock worker --metrics-port`)."""

import contextlib
import http.client
from typing import Any

import msgspec

from penstock.decoding import prepared
from penstock.errors import PenstockError

_WITHIN_S = 1.0
_MOST_BYTES = 1 << 20


class NoWorker(PenstockError):
    """No worker answers at an address."""


class Shard(msgspec.Struct, frozen=True):
    """How one shard of a worker stands: see `penstock.worker.shard.Seat.status`."""

    shard: int
    owner: bool
    trouble: str | None = None
    fence: int = 0
    lag: int | None = None
    position: int = 0
    sinks: dict[str, dict[str, Any]] = {}


class _Health(msgspec.Struct):
    shards: list[Shard]


def ask(address: str) -> list[Shard]:
    """The state of the shards of the worker at `HOST:PORT`.

    Raises:
        NoWorker: no server answers there within a second, or something else does.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise NoWorker(f"{address[:100]!r} is no address; it reads HOST:PORT")
    try:
        with contextlib.closing(http.client.HTTPConnection(host.strip("[]"), int(port), timeout=_WITHIN_S)) as connection:
            connection.request("GET", "/health")
            return msgspec.json.decode(connection.getresponse().read(_MOST_BYTES), type=prepared(_Health)).shards
    except (OSError, http.client.HTTPException, OverflowError) as error:
        raise NoWorker(f"{address} does not answer: {error}") from error
    except msgspec.MsgspecError as error:
        raise NoWorker(f"what answers at {address} is no worker: {error}") from error
