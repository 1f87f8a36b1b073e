"""Web pages: the console, its stream, and API documentation with Swagger UI, without external resources."""

import functools
import gzip
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from penstock.identity.roles import ANYBODY, Right
from penstock.ingest import masked
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.compression import LONG
from penstock.service.http.problems import RequestRefused
from penstock.service.http.route import Routes
from penstock.service.live import preparation
from penstock.service.live.preparation import Preparation
from penstock.service.live.stream import Live
from penstock.service.live.traffic import TrafficSender
from penstock.service.records.example import samples

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}

_FOREVER = "public, max-age=31536000, immutable"
_PACKED = {"content-encoding": "gzip", "vary": "Accept-Encoding"}

_NOT_BUILT = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Penstock</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem">
<h1>Penstock is running</h1>
<p>The service decides and answers; its console was not built into this installation. In a clone of the project,
<code>make console-build</code> builds it; then load this page again.</p>
<p><a href="./docs">API</a> &middot; <a href="./detectors">Detectors</a> &middot; <a href="./metrics">Metrics</a></p>
</body>
</html>
"""


class Console:
    """All files of the console, read once, compressed for browsers that accept it.

    >>> Console({}).page(accept="").status_code
    200
    """

    def __init__(self, files: Mapping[str, bytes] | None = None, preparation: Preparation | None = None) -> None:
        self._files = _built() if files is None else files
        self._preparation = preparation
        self._packed: dict[str, bytes] = {}

    def page(self, accept: str, depth: int = 0) -> Response:
        """The page itself, never cached, since it names the current files; while the service is prepared, the progress.

        Args:
            accept: the request's Accept-Encoding.
            depth: how many folders the page's address lies below the service's own: links to files climb as many.
        """
        if self._preparation is not None and not self._preparation.done:
            content = self._preparation.page().encode()
        else:
            content = self._files.get("index.html", _NOT_BUILT)
        head = HEADERS | {"cache-control": "no-cache"}
        content = content.replace(b'="./', b'="' + (b"../" * depth or b"./"))
        if "gzip" in accept and len(content) >= LONG:
            content, head = gzip.compress(content), head | _PACKED
        return Response(content, media_type=TYPES["html"], headers=head)

    def file(self, name: str, accept: str) -> Response | None:
        """A file by its path under the console's folder, or None; `accept` is the request's Accept-Encoding."""
        content = self._files.get(name)
        if content is None:
            return None
        head = HEADERS | {"cache-control": _FOREVER if name.startswith("assets/") else "no-cache"}
        if "gzip" in accept and len(content) >= LONG:
            content, head = self._pack(name, content), head | _PACKED
        return Response(content, media_type=TYPES[name.rsplit(".", 1)[1]], headers=head)

    def _pack(self, name: str, content: bytes) -> bytes:
        if name not in self._packed:
            self._packed[name] = gzip.compress(content)
        return self._packed[name]


@functools.cache
def _built() -> Mapping[str, bytes]:
    folder = resources.files("penstock.service") / "static" / "console"
    return dict(_read(folder, "")) if folder.is_dir() else {}


def _read(folder: Traversable, under: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _read(each, f"{under}{each.name}/")
        elif each.name.rsplit(".", 1)[-1] in TYPES:
            found.append((under + each.name, each.read_bytes()))
    return found


_SWAGGER = {"swagger-ui-bundle.js", "swagger-ui.css"}

_DOCS = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Penstock API</title>
<link rel="icon" href="icon.svg">
<link rel="stylesheet" href="assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="assets/swagger-ui-bundle.js"></script>
<script src="assets/docs.js"></script>
</body>
</html>
"""

_SCRIPTS = {
    "docs.js": """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout",
});
""",
    "preparing.js": preparation.SCRIPT,
}


def _form(served: ServedDetector, traffic: TrafficSender | None) -> dict[str, Any]:
    """The data for the form of one detector."""
    newest = traffic.example if traffic is not None and traffic.detector == served.name else None
    if newest is not None:
        newest = masked(newest, served.engine.personal.fields)
    detector = served.engine.detector
    return {"id": detector.id, "samples": samples(detector.folder, served.engine.detector.event, detector.time, newest)}


def _accept(request: Request) -> str:
    return request.headers.get("accept-encoding", "")


def _depth(request: Request) -> int:
    """How many folders the address lies below the service's, as the browser sees it: an encoded slash is none."""
    return bytes(request.scope["raw_path"]).split(b"?", 1)[0].count(b"/") - 1


def _found(file: Response | None, name: str) -> Response:
    if file is None:
        raise RequestRefused(404, f"there is no asset {name[:100]!r}")
    return file


def _swagger(name: str) -> Response:
    content = (resources.files("fastapi_swagger") / "resources" / name).read_bytes()
    head = HEADERS | {"cache-control": "public, max-age=86400"}
    return Response(content, media_type=TYPES[name.rsplit(".", 1)[1]], headers=head)


# ---------------------------------------------------------------- routes

route = Routes("service")


@route("GET", "/", ANYBODY, hidden=True)
@route("GET", "/console", ANYBODY, hidden=True)
@route("GET", "/console/{path:path}", ANYBODY, hidden=True)
async def page(console: Console, /, request: Request) -> Response:
    """The console: one page for all of its addresses. The browser selects the screen."""
    return console.page(_accept(request), _depth(request))


@route("GET", "/icon.svg", ANYBODY, hidden=True)
async def icon(console: Console, /, request: Request) -> Response:
    """The icon of all pages."""
    return _found(console.file("icon.svg", _accept(request)), "icon.svg")


@route("GET", "/docs", ANYBODY, hidden=True)
async def docs() -> Response:
    """The documentation of the API."""
    return Response(_DOCS, media_type=TYPES["html"], headers=HEADERS)


@route("GET", "/assets/{name}", ANYBODY, hidden=True)
async def asset(console: Console, /, name: str, request: Request) -> Response:
    """A file of the console, or of the documentation."""
    if name in _SCRIPTS:
        return Response(_SCRIPTS[name], media_type=TYPES["js"], headers=HEADERS)
    if name in _SWAGGER:
        return _swagger(name)
    return _found(console.file(f"assets/{name}", _accept(request)), name)


@route("GET", "/live", Right.READ, hidden=True, by_detector=True)
async def stream(live: Live, /) -> Response:
    """The live messages as server-sent events."""
    live.check()
    return StreamingResponse(live.stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})


@route("GET", "/live/setup", Right.READ, hidden=True, by_detector=True)
async def setup(router: DetectorRouter, traffic: TrafficSender | None, /) -> dict[str, Any]:
    """The page's static settings; attack buttons appear only with simulated traffic."""
    return {
        "detectors": {name: _form(served, traffic) for name, served in router.items() if served.not_ready is None},
        "attacks": sorted(traffic.attacks) if traffic else [],
    }


@route("POST", "/demo/attack/{name}", Right.ADMINISTER, hidden=True, status=202)
async def attack(traffic: TrafficSender, /, name: str) -> dict[str, Any]:
    """Begin an attack of the simulated traffic."""
    if name not in traffic.attacks:
        raise RequestRefused(404, f"there is no attack {name[:100]!r}; there are {', '.join(sorted(traffic.attacks))}")
    return {"attack": name, "transactions": traffic.attacks[name]()}
