"""`/views`: saved views of the console, a user's own and those shared with everybody."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import Request
from msgspec import Meta

from penstock.clock import iso
from penstock.governance.saved_views import SavedView, SavedViews
from penstock.identity.roles import Right
from penstock.service.decide.detectors import visible_detectors
from penstock.service.http.requests import filled, may, who
from penstock.service.http.route import CHANGING, Body, Routes

_MOST_BYTES = 16_384
_SHARING = Right.AUTHOR | Right.APPROVE | Right.ADMINISTER

Page = Annotated[
    str, Meta(pattern=r"^/[a-z0-9_/-]{0,99}$", description="The path of its page below `/console`: `/transactions`.")
]
Name = Annotated[str, Meta(min_length=1, max_length=80, description="What it is called.")]
Search = Annotated[
    dict[Annotated[str, Meta(max_length=40)], Annotated[str, Meta(max_length=500)]],
    Meta(max_length=40, description="Filters, columns and order, as in the address of the page."),
]


class ViewForm(msgspec.Struct, frozen=True):
    """A saved view."""

    id: Annotated[str, Meta(description="Made by the service.")]
    page: Page
    name: Name
    search: Search
    shared: Annotated[bool, Meta(description="Whether everybody may open it.")]
    owner: Annotated[str, Meta(description="The user who saved it.")]
    saved_at: Annotated[str, Meta(description="When.")]


class ViewList(msgspec.Struct, frozen=True):
    """The views that the user may open."""

    views: Annotated[list[ViewForm], Meta(description="By page and name.")]


class SaveView(msgspec.Struct, forbid_unknown_fields=True):
    """A view to save; the user's own one with this name on this page is replaced."""

    page: Page
    name: Name
    search: Search


class ViewRemoved(msgspec.Struct, frozen=True):
    """A removed view."""

    id: Annotated[str, Meta(description="Of the view.")]


def _form(view: SavedView) -> ViewForm:
    return filled(ViewForm, view, saved_at=iso(view.at_us))


# ---------------------------------------------------------------- routes

route = Routes("service", by_detector=True)


@route("GET", "/views", Right.READ)
async def list_views(views: SavedViews, /, request: Request) -> ViewList:
    """Saved views of the console: the user's own and shared ones.

    Users whose roles hold for some detectors alone have their own: those of others may be about another detector.
    """
    found = await asyncio.to_thread(views.of, who(request))
    if visible_detectors() is not None:
        found = [each for each in found if each.owner == who(request)]
    return ViewList([_form(each) for each in found])


@route("POST", "/views", Right.READ, refuses=CHANGING, status=201, most_bytes=_MOST_BYTES)
async def create_view(views: SavedViews, /, request: Request, body: Body[SaveView]) -> ViewForm:
    """Save a view that only its owner sees."""
    given, owner = await body, who(request)
    return _form(await asyncio.to_thread(views.save, given.page, given.name, given.search, owner=owner, shared=False))


@route("POST", "/views/shared", _SHARING, refuses=CHANGING, status=201, most_bytes=_MOST_BYTES, by_detector=False)
async def share_view(views: SavedViews, /, request: Request, body: Body[SaveView]) -> ViewForm:
    """Save a view that everybody may open."""
    given, owner = await body, who(request)
    return _form(await asyncio.to_thread(views.save, given.page, given.name, given.search, owner=owner, shared=True))


@route("DELETE", "/views/{id}", Right.READ, refuses=(404,))
async def delete_view(views: SavedViews, /, id: str, request: Request) -> ViewRemoved:
    """Remove a view: one's own, or as an administrator any shared one."""
    by, any_owner = who(request), may(request, Right.ADMINISTER)
    await asyncio.to_thread(lambda: views.remove(id, who=by, any_owner=any_owner))
    return ViewRemoved(id)
