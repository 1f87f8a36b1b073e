"""`/detectors/NAME/erasures`: erasure of one person's personal data."""

import asyncio

import msgspec
from fastapi import FastAPI, Request, Response

from penstock.clock import iso
from penstock.errors import DeclarationError
from penstock.privacy.erasure import Erased
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.http import bodies
from penstock.service.http.openapi import answers, requires
from penstock.service.http.problems import RequestRefused
from penstock.service.records.decisions import json_response
from penstock.service.records.personal import Unmasking, actor_of
from penstock.service.schemas import AskErasure

_MOST_BYTES = 16_384


def add_routes(routes: FastAPI, desks: DetectorRouter, personal: Unmasking) -> None:
    """Add the route."""

    @routes.post(
        "/detectors/{name}/erasures",
        tags=["access"],
        responses=answers("Erased", 400, 404, 413, 415),
        openapi_extra=requires("AskErasure"),
    )
    async def erase(name: str, request: Request) -> Response:
        """Erase one person: the key of their personal data is destroyed. Decisions stay, and can be verified."""
        desk = desks.named(name)
        bodies.check_encoding(request.headers.raw)
        given = _decoded(await bodies.read_body(request.scope, request.receive, _MOST_BYTES))
        try:
            found = await asyncio.to_thread(personal.erase, desk, given.entity, given.key, actor_of(request), given.reason)
        except DeclarationError as error:
            raise RequestRefused(422, str(error), [("entity", str(error))]) from None
        return json_response(msgspec.json.encode(_told(found)))


def _told(found: Erased) -> dict[str, str | int]:
    return {
        "detector": found.detector,
        "entity": found.entity,
        "values": found.values,
        "cases": found.cases,
        "erased_at": iso(found.at_us),
        "erased_by": found.who,
    }


def _decoded(body: bytes) -> AskErasure:
    try:
        return msgspec.json.decode(body, type=AskErasure)
    except msgspec.ValidationError as error:
        raise RequestRefused(422, f"an entity and a key are needed: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestRefused(400, f"this is not valid JSON: {error}") from None
