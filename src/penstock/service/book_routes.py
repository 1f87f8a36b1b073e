"""The routes over the books of rules, lists and features."""

from collections.abc import Mapping

from fastapi import FastAPI

from penstock.assemble.approving import Approving
from penstock.assemble.challengers import Challengers
from penstock.assemble.growing import Growing
from penstock.config import Settings
from penstock.service import approvals, features, lists, rules
from penstock.service.backtests import Backtests
from penstock.service.desks import Desks
from penstock.service.shelf import Shelf


def add_routes(
    routes: FastAPI,
    shelf: Shelf,
    settings: Settings,
    growing: Mapping[str, Growing],
    challengers: Mapping[str, Challengers],
    desks: Desks,
    backtests: Backtests,
) -> None:
    """Rules, lists, features, and what waits for a second pair of eyes, of models too."""

    def approving(name: str) -> Approving:
        grown = growing.get(name)
        return Approving(shelf.of(name), challengers.get(name), None if grown is None else grown.book)

    rules.add_routes(routes, shelf, settings, backtests)
    lists.add_routes(routes, shelf, settings)
    approvals.add_routes(routes, shelf, settings, approving)
    features.add_routes(routes, growing, desks, settings)
