"""Route declarations: a path with its right, its schemas and its handler, stated once.

    route = Routes("rules")

    @route("POST", "/detectors/{name}/rules/test", Right.AUTHOR | Right.APPROVE, refuses=(400, 404))
    async def test(administration: Administration, /, name: str, body: Body[TryCondition]) -> RuleTested:
        admin, given = administration.of(name), await body
        ...

* Positional-only parameters are parts of the service, found by their type when an application is composed. A service that
  lacks a part lacks the route; a parameter that allows None gets None instead.
* The other parameters come from the request, as FastAPI reads them. `Body[X]` is the JSON body: it is read when awaited.
* A returned value is sent as JSON; bytes are JSON already; a `Response` is sent as it is. The return annotation is the
  schema of the answer, unless `answers` names one.

The router, the table of rights and the OpenAPI document follow from the declarations. The name of a handler is a verb and its
noun: it is the id of the operation. Its docstring describes it; `http/schemas.py` says how fields are described.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute

from penstock.config import Settings
from penstock.identity.roles import ANYBODY, Right
from penstock.service.http.operation import answer, body_of, refusal
from penstock.service.http.query import refuse_unknown
from penstock.service.http.requests import json_response, parse_body

T = TypeVar("T", bound=msgspec.Struct)
H = TypeVar("H", bound=Callable[..., Awaitable[Any]])

CHANGING = (400, 404, 408, 409, 413, 415)
"""Refusals of most routes that change something."""

Schema = type | str
"""A schema: a struct, or the name of an object whose fields depend on the detector."""


class Body(Generic[T]):
    """The JSON body of a request, read when it is awaited; missing fields have their defaults.

    Raises:
        RequestRefused: it is too large, not JSON, or does not fit the struct.
    """

    def __init__(self, request: Request, form: type[T], most_bytes: int) -> None:
        self._read = partial(parse_body, request, form, most_bytes)

    def __await__(self) -> Generator[Any, None, T]:
        return self._read().__await__()


@dataclass(frozen=True, eq=False, kw_only=True)
class Route:
    """One declared route; see `Routes.__call__`."""

    method: str
    path: str
    right: Right
    handler: Callable[..., Awaitable[Any]] | None
    tag: str
    answers: Schema | None = None
    refuses: Sequence[int] = ()
    status: int = 200
    waits: Schema | None = None
    takes: Schema | None = None
    many: bool = False
    required: bool | None = None
    most_bytes: int | None = None
    hidden: bool = False
    by_detector: bool = False
    example: Any = None
    responses: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    events: str | None = None
    parameters: Mapping[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    @cached_property
    def _signature(self) -> inspect.Signature:
        assert self.handler is not None
        return inspect.signature(self.handler)

    @cached_property
    def _body(self) -> tuple[str, type[msgspec.Struct]] | None:
        """The parameter for the body, and its struct."""
        for name, given in self._signature.parameters.items() if self.handler is not None else ():
            if get_origin(given.annotation) is Body:
                return name, get_args(given.annotation)[0]
        return None

    @property
    def request_schema(self) -> Schema | None:
        """The schema of the request body."""
        return self.takes if self._body is None else self._body[1]

    @property
    def answer_schema(self) -> Schema | None:
        """The schema of the answer."""
        if self.answers is not None or self.hidden or self.handler is None:
            return self.answers
        returned = self._signature.return_annotation
        return returned if isinstance(returned, type) and issubclass(returned, msgspec.Struct) else None

    @property
    def in_parts(self) -> bool:
        """Whether a caller may ask for some fields of decisions alone."""
        asked = self.parameters if self.handler is None else self._signature.parameters
        return "fields" in asked

    @property
    def schemas(self) -> list[Schema]:
        """The schemas that the document must describe."""
        return [each for each in (self.request_schema, self.answer_schema, self.waits) if each is not None]

    def add(self, app: FastAPI, parts: Mapping[type, object]) -> None:
        """Add the route to an application that has its parts."""
        given = [] if self.handler is None else _given(self._signature, parts)
        if self.handler is None or given is None:
            return
        if self.method == "WS":
            app.add_api_websocket_route(self.path, partial(self.handler, *given), name=self.handler.__name__)
            return
        settings = parts[Settings]
        assert isinstance(settings, Settings)
        queries: set[str] = set()
        app.add_api_route(
            self.path,
            self._endpoint(given, self.most_bytes or settings.max_body_bytes, queries),
            methods=[self.method],
            name=self.handler.__name__,
            operation_id=camel_case(self.handler.__name__),
            description=inspect.getdoc(self.handler),
            tags=[self.tag],
            status_code=self.status if self.status != 200 else None,
            response_model=None,
            response_class=Response,
            responses=self._responses(),
            openapi_extra=self._request_body(),
            include_in_schema=not self.hidden,
        )
        declared = app.routes[-1]
        assert isinstance(declared, APIRoute)
        queries |= {each.alias for each in declared.dependant.query_params}

    def _endpoint(
        self, given: Sequence[object], most_bytes: int, queries: Collection[str]
    ) -> Callable[..., Awaitable[Response]]:
        """The handler as FastAPI calls it: with what comes from the request alone. queries: the known query parameters."""
        handler, body, signature = self.handler, self._body, self._signature
        assert handler is not None
        asked = [each for each in signature.parameters.values() if each.kind is not each.POSITIONAL_ONLY]
        wants_request = any(each.name == "request" for each in asked)

        async def endpoint(request: Request, **values: Any) -> Response:
            if self.right is not ANYBODY:
                refuse_unknown(request.scope["query_string"], queries)
            if body is not None:
                values[body[0]] = Body(request, body[1], most_bytes)
            if wants_request:
                values["request"] = request
            found = await handler(*given, **values)
            if isinstance(found, Response):
                return found
            return json_response(found if isinstance(found, bytes) else msgspec.json.encode(found), self.status)

        shown = [each for each in asked if each.name != "request" and (body is None or each.name != body[0])]
        request = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)
        parameters = [request, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in shown)]
        endpoint.__signature__ = inspect.Signature(parameters, return_annotation=Response)  # type: ignore[attr-defined]
        return endpoint

    def _responses(self) -> dict[int | str, dict[str, Any]]:
        if self.hidden:
            return {}
        found: dict[int | str, dict[str, Any]] = {}
        if self.answer_schema is not None:
            found[self.status] = answer(self.answer_schema, self.status, many=self.many, parts=self.in_parts)
            found |= {code: refusal(code) for code in (*self.refuses, 422, 503)}
        if self.waits is not None:
            found[202] = answer(self.waits, 202)
        return found | dict(self.responses)

    def _request_body(self) -> dict[str, Any]:
        schema, required = self.request_schema, self.required
        if schema is None or self.hidden:
            return dict(self.extra)
        if required is None:
            required = isinstance(schema, str) or any(each.required for each in msgspec.structs.fields(schema))
        return {**body_of(schema, required=required, many=self.many, example=self.example), **self.extra}


class Routes:
    """The routes of one module, in the order in which requests are matched.

    tag: their heading in the document. by_detector: see `Routes.__call__`.
    """

    def __init__(self, tag: str, *, by_detector: bool = False) -> None:
        self._common: dict[str, Any] = {"tag": tag, "by_detector": by_detector}
        self._declared: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._declared)

    def __call__(self, method: str, path: str, right: Right, **options: Any) -> Callable[[H], H]:
        """Declare the decorated handler as the route of a method (WS: a WebSocket) and path.

        Args:
            method: GET, POST, ... or WS.
            path: as FastAPI writes it.
            right: one of these rights is needed.
            options: `answers`: the schema of the answer, if the handler's annotation is not it. `refuses`: further statuses
                of refusals. `status`: of the answer. `waits`: the schema of 202, if a change may wait for approval.
                `takes`: the schema of a body that the handler reads itself. `many`: body and answer may be arrays.
                `required`: whether there must be a body; unless given, if a field of it is required. `most_bytes`: limit of
                the body, instead of the setting. `hidden`: not in the document. `by_detector`: open to callers whose role
                holds for some detectors alone, since it shows and changes no others (the `DetectorRouter` has only these then);
                routes whose path names the detector always are. `example`: of the body, where one made of
                its schema would mislead. `responses`, `extra`: further parts of the
                operation in the document. `events`: for a route that takes a detector's events, what it does with them.
                `parameters`: description and schema of its query parameters, by name.
        """

        def declare(handler: H) -> H:
            self._declared.append(Route(method=method, path=path, right=right, handler=handler, **(self._common | options)))
            return handler

        return declare

    def outside(self, method: str, path: str, right: Right, **options: Any) -> None:
        """Declare a route that is served in front of FastAPI."""
        self._declared.append(Route(method=method, path=path, right=right, handler=None, **(self._common | options)))


def camel_case(name: str) -> str:
    """The id of the operation of a handler: a verb and its noun.

    >>> camel_case("roll_back_rule")
    'rollBackRule'
    """
    first, *others = name.split("_")
    return first + "".join(each[:1].upper() + each[1:] for each in others)


def table_of(routes: Iterable[Route]) -> dict[tuple[str, str], Right]:
    """By method (WS: a WebSocket) and path: the rights of which one is needed."""
    return {(route.method, route.path): route.right for route in routes}


def limited_of(routes: Iterable[Route]) -> frozenset[tuple[str, str]]:
    """Method and path of the routes that are open to callers whose role holds for some detectors alone."""
    of_one = "/detectors/{name}/"
    return frozenset((route.method, route.path) for route in routes if route.by_detector or route.path.startswith(of_one))


def _given(signature: inspect.Signature, parts: Mapping[type, object]) -> list[object] | None:
    """The parts for a handler's positional-only parameters; None if this service lacks one of them."""
    found: list[object] = []
    for each in signature.parameters.values():
        if each.kind is not each.POSITIONAL_ONLY:
            continue
        kinds = get_args(each.annotation) if isinstance(each.annotation, UnionType) else (each.annotation,)
        part = next((parts[kind] for kind in kinds if parts.get(kind) is not None), None)
        if part is None and type(None) not in kinds:
            return None
        found.append(part)
    return found
