"""The right that a request needs, by the declaration of its route. Routes without a declaration are closed to everybody."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import BaseRoute, Match

from penstock.identity.roles import SOMEBODY, Right
from penstock.service.decide.predict import DECIDING
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import dry_run

TRYING = DECIDING | Right.READ
"""The right for a dry run, which decides without changing or recording anything."""


class Rights:
    """Finds the right that a request needs, matching routes in the same order as the router."""

    def __init__(self, routes: Sequence[BaseRoute], table: Mapping[tuple[str, str], Right]) -> None:
        self._routes = routes
        self._table = table
        self._exact: dict[tuple[str, str], Right | None] = {}

    def needed(self, scope: Mapping[str, Any]) -> Right | None:
        """The needed right; None where nobody has it, because the table lacks the route.

        For a route or method that does not exist, any key is answered so (404, 405).
        """
        asked = method(scope), scope["path"]
        if asked in self._exact:
            return self._exact[asked]
        if asked[0] == "OPTIONS":
            return SOMEBODY
        found = self._of_route(scope, asked[0])
        if asked in self._table and "{" not in asked[1]:
            self._exact[asked] = found
        return found

    def _of_route(self, scope: Mapping[str, Any], asked: str) -> Right | None:
        matched = {**scope, "method": asked}
        for route in self._routes:
            if route.matches(matched)[0] is Match.FULL:
                return self._table.get((asked, getattr(route, "path", "")))
        return SOMEBODY


def deciding(scope: Mapping[str, Any]) -> Right:
    """The right that a request on a hot path needs: `DECIDING`, or `TRYING` for a dry run."""
    with contextlib.suppress(RequestRefused):  # an invalid value is refused after authorization
        if dry_run(scope.get("query_string", b"")):
            return TRYING
    return DECIDING


def method(scope: Mapping[str, Any]) -> str:
    """The method as route declarations name it.

    >>> method({"type": "http", "method": "HEAD"}), method({"type": "websocket"})
    ('GET', 'WS')
    """
    if scope["type"] == "websocket":
        return "WS"
    return "GET" if scope["method"] == "HEAD" else str(scope["method"])


def declared(routes: Sequence[BaseRoute]) -> set[tuple[str, str]]:
    """Every route with its method and path as in its declaration."""
    return {(each, getattr(route, "path", "")) for route in routes for each in getattr(route, "methods", None) or {"WS"}}
