"""The vault: original values of personal fields, encrypted with a key per person. Everything else in Penstock holds tokens.

A person's key is stored next to the values, encrypted with the token secret, which is kept outside the database: the
database alone reveals nothing. Destroying the key destroys the values, in every copy of the database; the person stays
known as erased, by a token, and no further values are kept.

Source: AES-GCM, NIST SP 800-38D, with random nonces of 96 bits: far fewer values than 2^32 per key.
"""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from penstock import audit
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, TableSchema
from penstock.errors import NotFound

SCHEMA = TableSchema(
    "vault",
    [
        [
            """CREATE TABLE vault_people (detector TEXT NOT NULL, person TEXT NOT NULL, sealed_key TEXT,
                made_us BIGINT NOT NULL, erased_us BIGINT, erased_by TEXT, PRIMARY KEY (detector, person))""",
            """CREATE TABLE vault_values (detector TEXT NOT NULL, person TEXT NOT NULL, token TEXT NOT NULL,
                sealed TEXT NOT NULL, PRIMARY KEY (detector, person, token))""",
        ]
    ],
)

ERASED = "personal.erase"
"""The action of the audit entry of an erasure."""

_NONCE = 12
_KEY_BITS = 256
PersonalValue = tuple[str, str, str]
"""The token of a person, the token of a value, and the value."""


class Erasure(msgspec.Struct, frozen=True):
    """A past erasure of a person: when and by whom."""

    at_us: int
    who: str


class Vault:
    """The vault of personal values. Thread-safe.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> vault = Vault(SqliteDatabase(), b"a secret of 32 random bytes, say")
    >>> vault.keep("shop", [("tok_ana", "tok_1", "4111 1111 1111 1111")])
    >>> vault.values("shop", "tok_ana", ["tok_1", "tok_2"])
    {'tok_1': '4111 1111 1111 1111'}

    Args:
        database: of the office.
        secret: the token secret.
    """

    def __init__(self, database: Database, secret: bytes, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database = database
        self._master = AESGCM(hashlib.blake2b(secret, digest_size=32, person=b"penstock vault").digest())
        self._clock = clock

    def keep(self, detector: str, said: Iterable[PersonalValue]) -> None:
        """Store values, each once; nothing about erased persons."""
        by_person = groupby(sorted(said), key=lambda each: each[0])
        with self._database.write() as transaction:
            for person, values in by_person:
                key = self._key(transaction, detector, person)
                for _, token, value in values if key is not None else ():
                    assert key is not None
                    sealed = _seal(key, value.encode("utf-8", "surrogatepass"), _place(detector, person, token))
                    transaction.run(
                        "INSERT INTO vault_values (detector, person, token, sealed) "
                        "VALUES (:detector, :person, :token, :sealed) ON CONFLICT (detector, person, token) DO NOTHING",
                        {"detector": detector, "person": person, "token": token, "sealed": sealed},
                    )

    def _key(self, transaction: DatabaseTransaction, detector: str, person: str) -> AESGCM | None:
        """The person's key, created if missing; None if the person was erased."""
        who = {"detector": detector, "person": person}
        made = self._sealed_key(detector, person)
        transaction.run(
            "INSERT INTO vault_people (detector, person, sealed_key, made_us) VALUES (:detector, :person, :key, :now) "
            "ON CONFLICT (detector, person) DO NOTHING",
            {**who, "key": made, "now": self._clock()},
        )
        sql = "SELECT sealed_key FROM vault_people WHERE detector = :detector AND person = :person"
        [(sealed,)] = transaction.run(sql, who)
        return self._opened(detector, person, sealed)

    def values(self, detector: str, person: str, tokens: Sequence[str]) -> dict[str, str]:
        """The original values of a person's tokens, as far as they were stored and can be decrypted."""
        who = {"detector": detector, "person": person}
        rows = self._database.read(
            "SELECT v.token, v.sealed, p.sealed_key FROM vault_values v JOIN vault_people p "
            "ON p.detector = v.detector AND p.person = v.person WHERE v.detector = :detector AND v.person = :person",
            who,
        )
        key = self._opened(detector, person, rows[0][2]) if rows else None
        if key is None:
            return {}
        found = {token: _open(key, sealed, _place(detector, person, token)) for token, sealed, _ in rows if token in tokens}
        return {token: value.decode("utf-8", "surrogatepass") for token, value in found.items() if value is not None}

    def erasure(self, detector: str, person: str) -> Erasure | None:
        """When and by whom a person was erased; None if they were not."""
        rows = self._database.read(
            "SELECT erased_us, erased_by FROM vault_people "
            "WHERE detector = :detector AND person = :person AND erased_us IS NOT NULL",
            {"detector": detector, "person": person},
        )
        return Erasure(*rows[0]) if rows else None

    def erase(
        self, transaction: DatabaseTransaction, detector: str, person: str, *, who: str, details: Mapping[str, object]
    ) -> tuple[Erasure, int]:
        """Destroy a person's key and values; returns the number of values. A repeated erasure changes nothing.

        Args:
            transaction: of the office's database.
            detector: whose events the person is in.
            person: the token of the person.
            who: the user who asks.
            details: for the audit log; nothing that identifies the person.

        Raises:
            NotFound: nothing was ever kept about such a person.
        """
        at = {"detector": detector, "person": person}
        rows = transaction.run(
            "SELECT erased_us, erased_by FROM vault_people WHERE detector = :detector AND person = :person", at
        )
        if not rows:
            raise NotFound("nothing personal was kept about this person; is the key written as it was sent?")
        if rows[0][0] is not None:
            return Erasure(*rows[0]), 0
        deleted = transaction.run(
            "DELETE FROM vault_values WHERE detector = :detector AND person = :person RETURNING token", at
        )
        now = self._clock()
        transaction.run(
            "UPDATE vault_people SET sealed_key = NULL, erased_us = :now, erased_by = :who "
            "WHERE detector = :detector AND person = :person",
            {**at, "now": now, "who": who},
        )
        details = {**details, "values": len(deleted)}
        audit.note(transaction, who=who, action=ERASED, subject=f"personal/{detector}/{person}", details=details, at_us=now)
        return Erasure(now, who), len(deleted)

    def _sealed_key(self, detector: str, person: str) -> str:
        return _seal(self._master, AESGCM.generate_key(_KEY_BITS), _place(detector, person, ""))

    def _opened(self, detector: str, person: str, sealed: str | None) -> AESGCM | None:
        key = None if sealed is None else _open(self._master, sealed, _place(detector, person, ""))
        return None if key is None else AESGCM(key)


def is_used(database: Database) -> bool:
    """Whether any personal value was ever kept in the vault of an office."""
    database.prepare(SCHEMA)
    return bool(database.read("SELECT 1 FROM vault_people LIMIT 1"))


def _place(*names: str) -> bytes:
    """The associated data of a value: its ciphertext decrypts at no other place."""
    return "\0".join(names).encode()


def _seal(key: AESGCM, value: bytes, place: bytes) -> str:
    nonce = secrets.token_bytes(_NONCE)
    return (nonce + key.encrypt(nonce, value, place)).hex()


def _open(key: AESGCM, sealed: str, place: bytes) -> bytes | None:
    """Decrypt a value; None if the key is wrong, or the value was changed."""
    data = bytes.fromhex(sealed)
    try:
        return key.decrypt(data[:_NONCE], data[_NONCE:], place)
    except InvalidTag:
        return None
