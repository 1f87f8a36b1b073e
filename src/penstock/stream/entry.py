"""What one entry of the journal holds: everything that a follower needs to be as its owner was."""

from collections.abc import Mapping, Sequence

import msgspec

from penstock.errors import BrokerError
from penstock.ledger import Answered, DetectorVersion, Field, Quarantined


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One entry of the journal.

    fence: the number of its owner. owner: the name of the process, in the entry of a claim. takeover: the claim came while
    another owner lived, which is to end.
    frames: encoded records (`ledger.encoding`). places: how far the inbox has been read, by role. layouts, versions:
    what the records refer to, where it is new. quarantined, answered: what else was kept.
    """

    fence: int
    owner: str | None = None
    takeover: bool = False
    frames: list[bytes] = []
    places: dict[str, str] = {}
    layouts: Mapping[str, Mapping[str, Sequence[Field]]] = {}
    versions: list[DetectorVersion] = []
    quarantined: list[Quarantined] = []
    answered: list[Answered] = []


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def decode(data: bytes) -> Entry:
    """An entry from its bytes.

    >>> decode(encode(Entry(fence=3, places={"transactions": "17"}))).places
    {'transactions': '17'}

    Raises:
        BrokerError: this is none.
    """
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise BrokerError(
            f"the journal holds something that is no entry ({error}); does another program write there?"
        ) from error
