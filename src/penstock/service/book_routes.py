"""The routes over the books of rules, lists and features."""

from collections.abc import Mapping

from fastapi import FastAPI

from penstock.assemble.growing import Growing
from penstock.config import Settings
from penstock.service import approvals, features, lists, rules
from penstock.service.desks import Desks
from penstock.service.shelf import Shelf


def add_routes(
    routes: FastAPI, shelf: Shelf, settings: Settings, growing: Mapping[str, Growing] | None = None, desks: Desks | None = None
) -> None:
    """Rules, lists, features, and what waits for a second pair of eyes."""
    rules.add_routes(routes, shelf, settings)
    lists.add_routes(routes, shelf, settings)
    approvals.add_routes(routes, shelf, settings)
    features.add_routes(routes, growing or {}, desks or Desks({}), settings)
