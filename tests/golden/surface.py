"""Everything that others depend on by name, as lines of text: a change of any is deliberate, and shows in a diff.

    python -m tests.golden.surface                # writes tests/golden/*.txt again
    python -m tests.golden.surface route_lines    # the fields that routes.txt has digests of

Names, types, defaults and numbers only: texts that people read are free.
"""

import hashlib
import importlib
import json
import pkgutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from pathlib import Path
from typing import Any

import click
import httpx

from deploy.infra.server import free_port
from penstock import Detector, Engine, detectors
from penstock.cli import commands as root_command
from penstock.config import describe
from penstock.metrics import METRICS
from penstock.service.routes import TABLE
from tests.waiting import wait_until

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVENTS = HERE / "events"
"""Simulated once and kept: what a simulator draws may differ in the last bit from one processor to the next."""
PATIENCE_S = 300
NOW_US = 1_767_225_600_000_000
KEY = b"the same for every run of this test"
NESTED = {"properties", "required", "items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties", "discriminator"}
TEXTS = {"description", "summary", "title", "examples", "example", "operationId", "tags"}


def routes() -> Iterator[str]:
    """Each route with its right, its parameters, and a digest of the fields of its requests and answers."""
    for (method, path), right in TABLE.items():
        yield f"{path} {method} right {right}"
    for place, lines in grouped(route_lines()):
        found = sorted(lines)
        if len(found) == 1:
            yield f"{place}{found[0]}"
        else:
            yield f"{place} {len(found)} fields, {hashlib.sha256(''.join(found).encode()).hexdigest()[:16]}"


def grouped(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    together: dict[str, list[str]] = {}
    for place, line in pairs:
        together.setdefault(place, []).append(line)
    yield from together.items()


def route_lines() -> Iterator[tuple[str, str]]:
    """The parts of each route, and a line for each field of each: what `routes` has digests of."""
    document = json.loads((ROOT / "console" / "openapi.json").read_text("utf-8"))
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{path} {method.upper()}"
            for each in operation.get("parameters", ()):
                named = f"{place} {each['in']} {each['name']}{'!' if each.get('required') else ''}"
                yield from ((named, line) for line in fields(each["schema"], schemas))
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                yield from ((f"{place} {name}", "") for _ in [name] if name != "request" and not body.get("content"))
                for kind, content in body.get("content", {}).items():
                    yield from ((f"{place} {name} {kind}", line) for line in fields(content.get("schema", {}), schemas))


def fields(schema: Any, schemas: Mapping[str, Any], within: tuple[str, ...] = ()) -> Iterator[str]:
    """A schema as lines: the path of each field and what it may be, whatever the schemas themselves are called."""
    if isinstance(schema, bool):
        yield f" {schema}"
        return
    reference = schema.get("$ref", "").rpartition("/")[2]
    if reference in within:
        yield f" again, {len(within) - within.index(reference)} up"
        return
    if reference:
        yield from fields(schemas[reference], schemas, (*within, reference))
        return
    facts = {key: value for key, value in schema.items() if key not in TEXTS | NESTED}
    if facts or not schema.keys() & NESTED:
        yield f" {json.dumps(facts, sort_keys=True)}"
    for place, each in nested(schema):
        yield from (f"{place}{line}" for line in fields(each, schemas, within))


def nested(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas within a schema, each with where it is."""
    required = schema.get("required", ())
    for name, each in schema.get("properties", {}).items():
        yield f".{name}{'!' if name in required else ''}", each
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield f"[{key}]", schema[key]
    for key in ("prefixItems", "anyOf", "oneOf", "allOf"):
        yield from ((f"<{key}>", each) for each in schema.get(key, ()))


def command_lines() -> Iterator[str]:
    """Each command with its arguments and options."""

    def walk(command: click.Command, path: str, context: click.Context) -> Iterator[str]:
        yield path
        for each in command.get_params(context):
            if "--help" in each.opts:
                continue
            default = None if callable(each.default) else each.default
            flags = " ".join((*each.opts, *each.secondary_opts)) if isinstance(each, click.Option) else each.human_readable_name
            kind = getattr(each.type, "choices", None) or each.type.name
            yield f"{path} {flags}: {kind}, default {default!r}, {each.nargs=}, {each.required=}".replace("each.", "")
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                assert found is not None
                yield from walk(found, f"{path} {name}", click.Context(found, parent=context, info_name=name))

    yield from walk(root_command, "penstock", root_command.make_context("penstock", ["--help"], resilient_parsing=True))


def settings() -> Iterator[str]:
    """Each setting with what it may be and what it is by itself."""
    for each in describe():
        yield f"{each.name}: {each.allowed}, default {each.default!r}"


def metric_lines() -> Iterator[str]:
    """Each metric with its kind and labels."""
    for each in METRICS:
        yield f"{each.name} {each.kind} {each.source} {each.unit} {list(each.labels)}"


def tables() -> Iterator[str]:
    """Tables and columns of the databases that a service makes in its data folder."""
    with tempfile.TemporaryDirectory() as name:
        data = Path(name) / "data"
        serve_once(data)
        for file in sorted(data.rglob("*.sqlite")):
            with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as database:
                for kind, table, text in database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name"):
                    yield f"{file.relative_to(data)} {kind} {table} {' '.join((text or '').split())}"


def serve_once(data: Path) -> None:
    """Start a service on a data folder, wait until it answers, and stop it."""
    port = free_port()
    file = data.parent / "served.py"
    file.write_text(SERVED)
    command = [sys.executable, "-m", "penstock.cli", "serve", str(file), "--data", str(data), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=data.parent) as service:
        try:
            answers(f"http://127.0.0.1:{port}/health", service)
        finally:
            service.send_signal(signal.SIGTERM)


SERVED = """
from datetime import datetime
import msgspec
from penstock import Detector

class Event(msgspec.Struct):
    transaction_id: str
    timestamp: datetime

detector = Detector("golden", event=Event, id="transaction_id", time="timestamp")
"""


def answers(url: str, service: "subprocess.Popen[bytes]") -> None:
    """Wait until a service answers."""

    def answered() -> bool:
        assert service.poll() is None, "the service ended"
        with suppress(httpx.HTTPError):
            return httpx.get(url, timeout=30).is_success
        return False

    wait_until(answered, PATIENCE_S, every_s=0.1)


def decisions() -> Iterator[str]:
    """What the detectors of the package decide about simulated events without models: digests of JSON, records and state."""
    for each in sorted(found.name for found in pkgutil.iter_modules(detectors.__path__)):
        home = f"{detectors.__name__}.{each}"
        detector = copy(importlib.import_module(home).detector)
        detector.models = ()
        yield from decided(each, detector, (EVENTS / f"{each}.ndjson").read_bytes().splitlines())


def decided(name: str, detector: Detector, bodies: list[bytes]) -> Iterator[str]:
    """Digests of what one detector makes of events, and what its records hold."""
    answered, recorded = hashlib.sha256(), {}
    with Engine(detector, wait_for_models=True, clock=lambda: NOW_US, personal_key=KEY) as engine:
        for at in range(0, len(bodies), 50):
            for answer in engine.decide_json(bodies[at : at + 50]):
                assert isinstance(answer, bytes), answer
                plain = json.loads(answer)
                plain.pop("latency_ms", None)
                answered.update(json.dumps(plain, sort_keys=True).encode())
        for _, record in engine.ledger.read():
            recorded |= {key: getattr(column, "dtype", "text") for key, column in record.columns.items()}
            recorded |= {f"meta {key}": type(value).__name__ for key, value in record.meta.items()}
        yield f"{name} decisions {answered.hexdigest()}"
        yield f"{name} state {engine.pipeline.state.digest()}"
        yield from (f"{name} record {key}: {kind}" for key, kind in sorted(recorded.items()))


SURFACES: Mapping[str, Callable[[], Iterator[str]]] = {
    "routes": routes,
    "commands": command_lines,
    "settings": settings,
    "metrics": metric_lines,
    "tables": tables,
    "decisions": decisions,
}


def text_of(name: str) -> str:
    """One surface as text, one line each, in order, without repetition."""
    return "\n".join(sorted(set(SURFACES[name]()))) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["route_lines"]:
        print("\n".join(f"{place}{line}" for place, line in sorted(route_lines())))
    else:
        for surface in SURFACES:
            (HERE / f"{surface}.txt").write_text(text_of(surface))
