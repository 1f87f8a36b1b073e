"""The routes over the books of rules and lists."""

from fastapi import FastAPI

from penstock.config import Settings
from penstock.service import approvals, lists, rules
from penstock.service.shelf import Shelf


def add_routes(routes: FastAPI, shelf: Shelf, settings: Settings) -> None:
    """Rules, lists, and what waits for a second pair of eyes."""
    rules.add_routes(routes, shelf, settings)
    lists.add_routes(routes, shelf, settings)
    approvals.add_routes(routes, shelf, settings)
