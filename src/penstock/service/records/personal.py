"""Personal fields in answers, and their erasure: original values for those who may see them, masks for everybody else.

Engines, ledger and cases hold tokens in their place, so this is the one place that decides who sees personal values.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Request
from msgspec import Meta

from penstock.clock import iso
from penstock.database import Database
from penstock.engine.quarantine import forget_person
from penstock.errors import DeclarationError
from penstock.identity.roles import Actor, Right, rights
from penstock.privacy import erasure as erasing
from penstock.privacy.vault import Vault
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.bodies import decoded
from penstock.service.http.problems import RequestRefused
from penstock.service.http.requests import actor_of, filled, raw_body
from penstock.service.http.route import Routes

_MOST_BYTES = 16_384

HIDDEN, ERASED, NOT_KEPT = "[hidden]", "[erased]", "[not kept]"
"""Replacements of a value: the actor may not see it; its person was erased; the vault does not have it."""


class ErasedBy(msgspec.Struct):
    """The time and actor of an erasure."""

    at: str
    by: str


class PersonalFields(msgspec.Struct):
    """Personal fields: original values, or why they are not shown: `[hidden]`, `[erased]`, `[not kept]`."""

    fields: dict[str, str | None]
    erased: ErasedBy | None


class AskErasure(msgspec.Struct, forbid_unknown_fields=True):
    """The person to erase. key: as it was sent, or as it is stored; reason: for the audit log."""

    entity: Annotated[str, Meta(min_length=1, max_length=200)]
    key: Annotated[str, Meta(min_length=1, max_length=1000)]
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class Erased(msgspec.Struct):
    """The erased person. values: number of personal values destroyed; cases: number of cases whose notes were erased."""

    detector: str
    entity: str
    values: int
    cases: int
    erased_at: str
    erased_by: str


class Unmasking:
    """Shows personal fields according to the rights of the actor. Methods wait for the database, except for `key`."""

    def __init__(self, office: Database | None = None, vault: Vault | None = None) -> None:
        self._office = office
        self._vault = vault

    def of(self, served: ServedDetector, transaction_id: str, actor: Actor) -> dict[str, Any] | None:
        """The personal fields of a recorded transaction, and whether they were erased; None if there are none."""
        sealed = served.engine.personal.of(transaction_id) if served.engine.personal.fields else None
        if sealed is None:
            return None
        erasure = None
        if self._vault is not None and sealed.person is not None:
            erasure = self._vault.erasure(served.name, sealed.person)
        fields = {name: None if token is None else HIDDEN for name, token in sealed.tokens.items()}
        if erasure is not None:
            fields = {name: text and ERASED for name, text in fields.items()}
        elif may_see(actor, served.name):
            fields = self._said(served.name, sealed.person, sealed.tokens)
        erased = None if erasure is None else {"at": iso(erasure.at_us), "by": erasure.who}
        return {"fields": fields, "erased": erased}

    def _said(self, detector: str, person: str | None, tokens: dict[str, str | None]) -> dict[str, str | None]:
        wanted = [token for token in tokens.values() if token is not None]
        found = {} if self._vault is None or person is None else self._vault.values(detector, person, wanted)
        return {name: None if token is None else found.get(token, NOT_KEPT) for name, token in tokens.items()}

    def erase(self, served: ServedDetector, entity: str, key: str, actor: Actor, reason: str | None) -> erasing.ErasureResult:
        """Erase a person.

        Raises:
            DeclarationError: the entity is no person of this detector.
            NotFound: nothing was ever kept about such a person.
        """
        whose = served.engine.personal.whose(entity, key)
        if self._office is None or self._vault is None:
            raise DeclarationError(f"this service keeps nothing that personal fields of {served.name!r} said")
        erased = erasing.erase_person(self._office, self._vault, served.name, *whose, who=actor.name, reason=reason)
        forget_person(served.engine.ledger.tables, served.name, served.engine.detector.schema, key)
        return erased


def may_see(actor: Actor, detector: str) -> bool:
    """Whether an actor may see original personal values of a detector."""
    return Right.PERSONAL in rights(actor.roles, detector)


def as_kept(among: Sequence[ServedDetector], entity: str, key: str, actor: Actor) -> str:
    """The stored form of a key, for those who may see personal fields: they write it as it was sent.

    For others a personal key is its token, as everywhere: by trying, they could otherwise find the values behind tokens.
    """
    for served in (each for each in among if may_see(actor, each.name)):
        try:
            return served.engine.personal.key(entity, key) if served.engine.personal.fields else key
        except DeclarationError:  # another detector may have it
            continue
    return key


# ---------------------------------------------------------------- routes

route = Routes("access")


@route("POST", "/detectors/{name}/erasures", Right.ADMINISTER, takes=AskErasure, refuses=(400, 404, 413, 415))
async def erase_person(router: DetectorRouter, personal: Unmasking, /, name: str, request: Request) -> Erased:
    """Erase one person: the key of their personal data is destroyed. Decisions stay, and can be verified."""
    served = router.named(name)
    given = decoded(await raw_body(request, _MOST_BYTES), AskErasure)
    try:
        found = await asyncio.to_thread(personal.erase, served, given.entity, given.key, actor_of(request), given.reason)
    except DeclarationError as error:
        raise RequestRefused(422, str(error), [("entity", str(error))]) from None
    return filled(Erased, found, erased_at=iso(found.at_us), erased_by=found.who)
