"""Personal fields in answers: original values for those who may see them, masks for everybody else.

Engines, ledger and cases hold tokens in their place, so this is the one place that decides who sees personal values.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import HTTPConnection

from penstock.clock import iso
from penstock.database import Database
from penstock.engine import Engine
from penstock.engine.quarantine import forget_person
from penstock.errors import DeclarationError
from penstock.identity.roles import LOCAL, Actor, Right, rights
from penstock.privacy.erasure import Erased, erase_person
from penstock.privacy.vault import Vault
from penstock.service.access.rights import ACTOR
from penstock.service.port import Serving

HIDDEN, ERASED, NOT_KEPT = "[hidden]", "[erased]", "[not kept]"
"""Replacements of a value: the actor may not see it; its person was erased; the vault does not have it."""


class Unmasking:
    """Shows personal fields according to the rights of the actor. Methods wait for the database, except for `key`."""

    def __init__(self, office: Database | None = None, vault: Vault | None = None) -> None:
        self._office = office
        self._vault = vault

    def of(self, desk: Serving, transaction_id: str, actor: Actor) -> dict[str, Any] | None:
        """The personal fields of a recorded transaction, and whether they were erased; None if there are none."""
        sealed = desk.engine.personal.of(transaction_id) if desk.engine.personal.fields else None
        if sealed is None:
            return None
        erasure = None
        if self._vault is not None and sealed.person is not None:
            erasure = self._vault.erasure(desk.name, sealed.person)
        fields = {name: None if token is None else HIDDEN for name, token in sealed.tokens.items()}
        if erasure is not None:
            fields = {name: text and ERASED for name, text in fields.items()}
        elif may_see(actor):
            fields = self._said(desk.name, sealed.person, sealed.tokens)
        gone = None if erasure is None else {"at": iso(erasure.at_us), "by": erasure.who}
        return {"fields": fields, "erased": gone}

    def _said(self, detector: str, person: str | None, tokens: dict[str, str | None]) -> dict[str, str | None]:
        wanted = [token for token in tokens.values() if token is not None]
        found = {} if self._vault is None or person is None else self._vault.values(detector, person, wanted)
        return {name: None if token is None else found.get(token, NOT_KEPT) for name, token in tokens.items()}

    def erase(self, desk: Serving, entity: str, key: str, actor: Actor, reason: str | None) -> Erased:
        """Erase a person.

        Raises:
            DeclarationError: the entity is no person of this detector.
            NotFound: nothing was ever kept about such a person.
        """
        whose = desk.engine.personal.whose(entity, key)
        if self._office is None or self._vault is None:
            raise DeclarationError(f"this service keeps nothing that personal fields of {desk.name!r} said")
        erased = erase_person(self._office, self._vault, desk.name, *whose, who=actor.name, reason=reason)
        if isinstance(desk.engine, Engine):
            forget_person(desk.engine.ledger.tables, desk.name, desk.engine.detector.schema, key)
        return erased


def actor_of(request: HTTPConnection) -> Actor:
    """The actor of a request; in a service without access control, the local one."""
    found: Actor = request.scope.get(ACTOR, LOCAL)
    return found


def may_see(actor: Actor) -> bool:
    """Whether an actor may see original personal values."""
    return Right.PERSONAL in rights(actor.roles)


def as_kept(among: Sequence[Serving], entity: str, key: str, actor: Actor) -> str:
    """The stored form of a key, for those who may see personal fields: they write it as it was sent.

    For others a personal key is its token, as everywhere: they could otherwise find out by trying what tokens stand for.
    """
    for desk in among if may_see(actor) else ():
        try:
            return desk.engine.personal.key(entity, key) if desk.engine.personal.fields else key
        except DeclarationError:  # another detector may have it
            continue
    return key
