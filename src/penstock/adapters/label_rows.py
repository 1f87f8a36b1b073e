"""Upload of a table of labels to a running service, in parts."""

import asyncio
from collections.abc import Callable

import msgspec

from penstock.adapters.http import ServiceAddress, ask, connect, request
from penstock.adapters.traffic import CHUNK, NotAccepted
from penstock.decoding import prepared
from penstock.ingest.label_rows import read_label_rows
from penstock.messages import Refusal

Refused = tuple[int, str]
"""The number of a row, the first below the names of the columns being 1, and why it was refused."""


class _LabelResponse(msgspec.Struct):
    accepted: bool = False
    detail: str = ""


_answers = msgspec.json.Decoder(prepared(list[_LabelResponse]))


def post_labels(address: ServiceAddress, table: bytes, advance: Callable[[float], None]) -> tuple[int, list[Refused]]:
    """Post a CSV table of labels; returns the number accepted, and the refused rows.

    Raises:
        DataError: it is no table of labels.
        Unreachable: no server answers there.
        NotAccepted: the service refused a part as a whole.
    """
    return asyncio.run(_post(address, read_label_rows(table), advance))


async def _post(
    address: ServiceAddress, rows: list[bytes | Refusal], advance: Callable[[float], None]
) -> tuple[int, list[Refused]]:
    refused = [(number, row.detail) for number, row in enumerate(rows, 1) if isinstance(row, Refusal)]
    labels = [(number, row) for number, row in enumerate(rows, 1) if isinstance(row, bytes)]
    connection = await connect(address)
    accepted = 0
    try:
        for start in range(0, len(labels), CHUNK):
            part = labels[start : start + CHUNK]
            body = b"[" + b",".join(label for _, label in part) + b"]"
            status, answer = await ask(connection, request(address, "POST", "/labels", body))
            if status != 200:
                raise NotAccepted(
                    f"the service answered {status} to {len(part)} labels: {answer[:300].decode(errors='replace')}"
                )
            for (number, _), each in zip(part, _answers.decode(answer), strict=True):
                accepted += each.accepted
                if not each.accepted:
                    refused.append((number, each.detail))
            advance((start + len(part)) / len(labels))
    finally:
        connection.close()
    return accepted, sorted(refused)
