"""The journal entry: everything that a follower needs to reach the owner's state."""

from collections.abc import Mapping, Sequence

import msgspec

from penstock.decoding import prepared
from penstock.errors import BrokerError
from penstock.ledger import ArchiveField, DetectorVersion, FallbackAnswer, Quarantined


class JournalEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One entry of the journal.

    fence: the number of its owner. owner: the name of the process, in the entry of a claim. takeover: the claim came
    while another owner lived, which is to end. frames: encoded records (`ledger.encoding`). places: the inbox positions,
    by role. layouts, versions: those that the records refer to, where new. quarantined, answered: quarantined events and
    fallback decisions.
    """

    fence: int
    owner: str | None = None
    takeover: bool = False
    frames: list[bytes] = []
    places: dict[str, str] = {}
    layouts: Mapping[str, Mapping[str, Sequence[ArchiveField]]] = {}
    versions: list[DetectorVersion] = []
    quarantined: list[Quarantined] = []
    answered: list[FallbackAnswer] = []


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(prepared(JournalEntry)).decode


def decode(data: bytes) -> JournalEntry:
    """Decode an entry.

    >>> decode(encode(JournalEntry(fence=3, places={"transactions": "17"}))).places
    {'transactions': '17'}

    Raises:
        BrokerError: the bytes are no entry.
    """
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise BrokerError(
            f"the journal holds something that is no entry ({error}); does another program write there?"
        ) from error
