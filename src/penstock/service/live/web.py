"""Web pages: the console, its stream, and API documentation with Swagger UI, without external resources."""

from importlib import resources
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from penstock.ingest import masked
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http.problems import RequestRefused
from penstock.service.live.console import HEADERS, TYPES, Console
from penstock.service.live.stream import Live
from penstock.service.live.traffic import Traffic
from penstock.service.port import Serving
from penstock.service.records.decisions import json_response
from penstock.service.records.example import samples

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

_DOCS_SCRIPT = """SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout",
});
"""


def add_routes(routes: FastAPI, desks: DetectorRouter, live: Live, traffic: Traffic | None) -> None:
    """Add the pages; attack buttons appear only with simulated traffic."""
    console = Console()

    @routes.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return console.page(_accept(request))

    @routes.get("/icon.svg", include_in_schema=False)
    async def icon(request: Request) -> Response:
        return _found(console.file("icon.svg", _accept(request)), "icon.svg")

    @routes.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(_DOCS, media_type=TYPES["html"], headers=HEADERS)

    @routes.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        if name == "docs.js":
            return Response(_DOCS_SCRIPT, media_type=TYPES["js"], headers=HEADERS)
        if name in _SWAGGER:
            return _swagger(name)
        return _found(console.file(f"assets/{name}", _accept(request)), name)

    @routes.get("/live", include_in_schema=False)
    async def stream() -> Response:
        live.check()
        return StreamingResponse(live.stream(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    @routes.get("/live/setup", include_in_schema=False)
    async def setup() -> Response:
        """The page's static settings."""
        found = {
            "detectors": {name: _form(desk, traffic) for name, desk in desks.items() if desk.not_ready is None},
            "attacks": sorted(traffic.attacks) if traffic else [],
        }
        return json_response(msgspec.json.encode(found))

    if traffic is not None:
        _add_attacks(routes, traffic)


def _add_attacks(routes: FastAPI, traffic: Traffic) -> None:
    @routes.post("/demo/attack/{name}", include_in_schema=False, status_code=202)
    async def attack(name: str) -> Response:
        if name not in traffic.attacks:
            raise RequestRefused(404, f"there is no attack {name[:100]!r}; there are {', '.join(sorted(traffic.attacks))}")
        begun = {"attack": name, "transactions": traffic.attacks[name]()}
        return Response(msgspec.json.encode(begun), status_code=202, media_type="application/json")


def _form(desk: Serving, traffic: Traffic | None) -> dict[str, Any]:
    """The data for the form of one detector."""
    newest = traffic.example if traffic is not None and traffic.detector == desk.name else None
    if newest is not None:
        newest = masked(newest, desk.engine.personal.fields)
    detector = desk.engine.detector
    return {"id": detector.id, "samples": samples(detector.folder, desk.engine.detector.event, detector.time, newest)}


def _accept(request: Request) -> str:
    return request.headers.get("accept-encoding", "")


def _found(file: Response | None, name: str) -> Response:
    if file is None:
        raise RequestRefused(404, f"there is no asset {name[:100]!r}")
    return file


def _swagger(name: str) -> Response:
    content = (resources.files("fastapi_swagger") / "resources" / name).read_bytes()
    head = HEADERS | {"cache-control": "public, max-age=86400"}
    return Response(content, media_type=TYPES[name.rsplit(".", 1)[1]], headers=head)
