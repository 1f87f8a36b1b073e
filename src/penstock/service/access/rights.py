"""The right that each route needs, in one table. Routes that are not in the table are closed to everybody."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.routing import BaseRoute, Match

from penstock.identity.roles import ANYBODY, SOMEBODY, Right
from penstock.service.http.problems import RequestRefused

TABLE: Mapping[tuple[str, str], Right] = {
    # without a key: liveness, signing in, and static files
    ("GET", "/health"): ANYBODY,
    ("GET", "/ready"): ANYBODY,
    ("GET", "/session"): ANYBODY,
    ("POST", "/session"): ANYBODY,
    ("GET", "/session/oidc"): ANYBODY,
    ("GET", "/session/oidc/callback"): ANYBODY,
    ("GET", "/"): ANYBODY,
    ("GET", "/icon.svg"): ANYBODY,
    ("GET", "/docs"): ANYBODY,
    ("GET", "/assets/{name}"): ANYBODY,
    # any right
    ("DELETE", "/session"): SOMEBODY,
    ("GET", "/openapi.json"): SOMEBODY,
    # programs that send transactions
    ("POST", "/predict"): Right.DECIDE,  # a dry run: `TRYING`
    ("POST", "/detectors/{name}/predict"): Right.DECIDE,
    ("POST", "/transactions"): Right.DECIDE,
    ("POST", "/detectors/{name}/transactions"): Right.DECIDE,
    ("GET", "/transaction/{transaction_id:path}/status"): Right.DECIDE | Right.READ,
    ("POST", "/events"): Right.DECIDE,
    ("POST", "/stream"): Right.DECIDE,
    # reading
    ("GET", "/transactions"): Right.READ,
    ("GET", "/transactions/{transaction_id:path}"): Right.READ,
    ("GET", "/entities/{entity}/{key:path}"): Right.READ,
    ("GET", "/users/{key:path}/risk-profile"): Right.READ,
    ("GET", "/results/recent"): Right.READ,
    ("GET", "/get"): Right.READ,
    ("GET", "/alerts"): Right.READ,
    ("GET", "/stats"): Right.READ,
    ("GET", "/stats/overview"): Right.READ,
    ("GET", "/insights/summary"): Right.READ,
    ("GET", "/insights/distributions"): Right.READ,
    ("GET", "/insights/series"): Right.READ,
    ("GET", "/insights/rules"): Right.READ,
    ("POST", "/verify/{transaction_id:path}"): Right.READ,
    ("GET", "/context/{transaction_id:path}"): Right.READ,
    ("GET", "/links/{entity}/{key:path}"): Right.READ,
    ("GET", "/detectors/{name}/definition"): Right.READ,
    ("GET", "/detectors/{name}/models/{version}/evaluation"): Right.READ,
    ("GET", "/detectors"): Right.READ,
    ("GET", "/metrics"): Right.READ,
    ("GET", "/detectors/{name}/drift"): Right.READ,
    ("GET", "/live"): Right.READ,
    ("GET", "/live/setup"): Right.READ,
    ("WS", "/ws/live"): Right.READ,
    ("GET", "/cases"): Right.READ,
    ("GET", "/cases/queues"): Right.READ,
    ("GET", "/cases/{case_id}"): Right.READ,
    ("GET", "/analysts"): Right.READ,
    ("GET", "/detectors/{name}/models"): Right.READ,
    ("GET", "/detectors/{name}/trials"): Right.READ,
    ("GET", "/detectors/{name}/trials/{trial}"): Right.READ,
    # labels
    ("POST", "/labels"): Right.LABEL | Right.DECIDE,
    ("POST", "/labels/csv"): Right.LABEL | Right.DECIDE,
    ("POST", "/cases/next"): Right.LABEL,
    ("POST", "/cases/verdicts"): Right.LABEL,
    ("POST", "/cases/{case_id}/take"): Right.LABEL,
    ("POST", "/cases/{case_id}/release"): Right.LABEL,
    ("POST", "/cases/{case_id}/note"): Right.LABEL,
    ("POST", "/cases/{case_id}/verdict"): Right.LABEL,
    ("POST", "/cases/{case_id}/escalate"): Right.LABEL,
    ("GET", "/detectors/{name}/rules"): Right.READ,
    ("GET", "/detectors/{name}/rules/export"): Right.READ,
    ("GET", "/detectors/{name}/rules/{rule}"): Right.READ,
    ("GET", "/detectors/{name}/rules/{rule}/diff"): Right.READ,
    ("GET", "/detectors/{name}/features"): Right.READ,
    ("GET", "/detectors/{name}/features/{feature}"): Right.READ,
    ("GET", "/detectors/{name}/lists"): Right.READ,
    ("GET", "/detectors/{name}/lists/lookup"): Right.READ,
    ("GET", "/detectors/{name}/lists/{list_name}"): Right.READ,
    ("GET", "/detectors/{name}/lists/{list_name}/entries"): Right.READ,
    ("GET", "/detectors/{name}/lists/{list_name}/export"): Right.READ,
    ("GET", "/detectors/{name}/approvals"): Right.READ,
    # writing rules and lists, trying them, asking for their promotion
    ("POST", "/detectors/{name}/rules"): Right.AUTHOR,
    ("POST", "/detectors/{name}/rules/import"): Right.AUTHOR,
    ("POST", "/detectors/{name}/rules/test"): Right.AUTHOR | Right.APPROVE,
    ("POST", "/detectors/{name}/rules/{rule}/shadow"): Right.AUTHOR | Right.APPROVE,
    ("POST", "/detectors/{name}/rules/{rule}/request"): Right.AUTHOR | Right.APPROVE,
    ("POST", "/detectors/{name}/features"): Right.AUTHOR,
    ("POST", "/detectors/{name}/features/test"): Right.AUTHOR | Right.APPROVE,
    ("POST", "/detectors/{name}/features/{feature}/request"): Right.AUTHOR | Right.APPROVE,
    ("POST", "/detectors/{name}/lists"): Right.AUTHOR,
    ("POST", "/detectors/{name}/lists/{list_name}/entries"): Right.AUTHOR,
    ("POST", "/detectors/{name}/lists/{list_name}/remove"): Right.AUTHOR,
    ("POST", "/detectors/{name}/lists/{list_name}/archive"): Right.AUTHOR,
    ("POST", "/detectors/{name}/approvals/{request_id}/reject"): Right.AUTHOR | Right.APPROVE,
    # promoting rules and rolling them back
    ("POST", "/detectors/{name}/rules/{rule}/rollout"): Right.APPROVE,
    ("POST", "/detectors/{name}/rules/{rule}/promote"): Right.APPROVE,
    ("POST", "/detectors/{name}/rules/{rule}/pause"): Right.APPROVE,
    ("POST", "/detectors/{name}/rules/{rule}/rollback"): Right.APPROVE,
    ("POST", "/detectors/{name}/rules/{rule}/archive"): Right.APPROVE,
    ("POST", "/detectors/{name}/approvals/{request_id}/approve"): Right.APPROVE,
    # activating features and rolling them back
    ("POST", "/detectors/{name}/features/{feature}/activate"): Right.APPROVE,
    ("POST", "/detectors/{name}/features/{feature}/rollback"): Right.APPROVE,
    ("POST", "/detectors/{name}/features/{feature}/archive"): Right.APPROVE,
    # backtests
    ("POST", "/detectors/{name}/backtest"): Right.AUTHOR | Right.APPROVE,
    # promoting models and rolling them back
    ("POST", "/detectors/{name}/models/{version}/shadow"): Right.APPROVE,
    ("POST", "/detectors/{name}/models/{version}/rollout"): Right.APPROVE,
    ("POST", "/detectors/{name}/models/{version}/promote"): Right.APPROVE,
    ("POST", "/detectors/{name}/models/rollback"): Right.APPROVE,
    ("POST", "/detectors/{name}/models/{version}/request"): Right.AUTHOR | Right.APPROVE,
    # erasure of personal data
    ("POST", "/detectors/{name}/erasures"): Right.ADMINISTER,
    # operations and quarantine
    ("GET", "/operations/health"): Right.READ,
    ("GET", "/quarantine"): Right.READ,
    ("GET", "/quarantine/{event_id}"): Right.READ,
    ("POST", "/quarantine/{event_id}/resubmit"): Right.DECIDE | Right.ADMINISTER,
    ("POST", "/quarantine/{event_id}/dismiss"): Right.ADMINISTER,
    ("GET", "/alerts/deliveries"): Right.READ,
    ("POST", "/alerts/{key:path}/acknowledge"): Right.LABEL | Right.APPROVE | Right.ADMINISTER,
    ("GET", "/reports"): Right.READ,
    ("GET", "/reports/{day}"): Right.READ,
    # users, keys and the audit log
    ("GET", "/keys"): Right.ADMINISTER,
    ("POST", "/keys"): Right.ADMINISTER,
    ("DELETE", "/keys/{key_id}"): Right.ADMINISTER,
    ("GET", "/users"): Right.ADMINISTER,
    ("POST", "/users"): Right.ADMINISTER,
    ("PATCH", "/users/{name}"): Right.ADMINISTER,
    ("GET", "/audit"): Right.ADMINISTER,
    ("GET", "/audit/verify"): Right.ADMINISTER,
    # attacks of the demo
    ("POST", "/demo/attack/{name}"): Right.ADMINISTER,
}
"""By method (WS: a WebSocket) and declared path: the rights of which one is needed."""

ACTOR = "penstock.actor"
"""The key of the actor in a request's scope."""

HOT = Right.DECIDE
"""The right for the hot paths: `/predict`, and `/detectors/NAME/predict`, which no route declares."""

TRYING = Right.DECIDE | Right.READ
"""The right for a dry run, which decides without changing or recording anything."""


_DRY_RUN = {"true": True, "1": True, "": True, "false": False, "0": False}


class Rights:
    """Finds the right that a request needs, matching routes in the same order as the router."""

    def __init__(self, routes: Sequence[BaseRoute], table: Mapping[tuple[str, str], Right] = TABLE) -> None:
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
    """The right that a request on a hot path needs: `HOT`, or `TRYING` for a dry run."""
    with contextlib.suppress(RequestRefused):  # an invalid value is refused after authorization
        if dry_run(scope.get("query_string", b"")):
            return TRYING
    return HOT


def dry_run(query: bytes) -> bool:
    """Whether the query of a hot-path request asks for a dry run.

    Raises:
        RequestRefused: 422, the value is neither true nor false.

    >>> dry_run(b""), dry_run(b"dry_run=true"), dry_run(b"dry_run=true&dry_run=false")
    (False, True, False)
    """
    from urllib.parse import parse_qsl

    if not query:
        return False
    value = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("dry_run", "false").lower()
    if value not in _DRY_RUN:
        message = "true or false is expected"
        raise RequestRefused(422, f"dry_run={value[:40]!r}: {message}", [("dry_run", message)])
    return _DRY_RUN[value]


def method(scope: Mapping[str, Any]) -> str:
    """The method as the table names it.

    >>> method({"type": "http", "method": "HEAD"}), method({"type": "websocket"})
    ('GET', 'WS')
    """
    if scope["type"] == "websocket":
        return "WS"
    return "GET" if scope["method"] == "HEAD" else str(scope["method"])


def declared(routes: Sequence[BaseRoute]) -> set[tuple[str, str]]:
    """Every route with its method and path as in the table."""
    return {(each, getattr(route, "path", "")) for route in routes for each in getattr(route, "methods", None) or {"WS"}}
