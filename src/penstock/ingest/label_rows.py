"""Labels from text tables, such as the chargeback lists of banks and payment providers."""

import csv
import io
from collections.abc import Mapping, Sequence

import msgspec

from penstock.errors import DataError, did_you_mean
from penstock.messages import Refusal

NEEDED = ("transaction_id", "fraud")
COLUMNS = (*NEEDED, "known_at", "source", "kind", "detector")

MOST_ROWS = 65_536
"""Rows of one table; more are better sent in parts."""

_YES, _NO = {"true", "1", "yes"}, {"false", "0", "no"}


def read_label_rows(body: bytes) -> list[bytes | Refusal]:
    r"""The labels of a CSV table as JSON, in the order of its rows; the error in place of an invalid row.

    The first row names the columns: transaction_id and fraud (true, false, 1, 0, yes, no), and where they are known
    known_at, source, kind, detector. Fields are separated by commas, or by semicolons where the first row has these; an
    empty field is null. Other columns are refused, since a misspelt one would silently be left out.

    >>> read_label_rows(b"transaction_id,fraud,source\ntx1,yes,\n")
    [b'{"transaction_id":"tx1","fraud":true}']

    Raises:
        DataError: it is no such table.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"the table is not UTF-8 text: {error}; save it as CSV in UTF-8") from None
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",", strict=True)
    try:
        found = [row for row in rows if row]
    except csv.Error as error:
        raise DataError(f"line {rows.line_num} is no CSV: {error}") from None
    if not found:
        raise DataError(f"the table is empty; its first row names the columns: {', '.join(COLUMNS)}")
    if len(found) - 1 > MOST_ROWS:
        raise DataError(f"the table has {len(found) - 1} rows and {MOST_ROWS} are allowed; send it in parts")
    columns = _columns(found[0])
    return [_label(columns, row) for row in found[1:]]


def _columns(row: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in row]
    for name in names:
        if name not in COLUMNS:
            raise DataError(
                f"the table has a column {name[:80]!r}, which says nothing about labels.{did_you_mean(name, COLUMNS)}"
            )
        if names.count(name) > 1:
            raise DataError(f"the table has several columns {name!r}")
    for name in NEEDED:
        if name not in names:
            raise DataError(f"the table has no column {name!r}; its first row names the columns: {', '.join(COLUMNS)}")
    return names


def _label(columns: Sequence[str], row: Sequence[str]) -> bytes | Refusal:
    if len(row) != len(columns):
        return Refusal(422, f"the row has {len(row)} fields and the table {len(columns)} columns")
    fields = {name: text.strip() for name, text in zip(columns, row, strict=True) if text.strip()}
    fraud = _fraud(fields)
    if isinstance(fraud, Refusal):
        return fraud
    if "transaction_id" not in fields:
        return Refusal(422, "the row names no transaction", (("transaction_id", "is required"),))
    return msgspec.json.encode({**fields, "fraud": fraud})


def _fraud(fields: Mapping[str, str]) -> bool | Refusal:
    said = fields.get("fraud", "")
    if said.lower() in _YES | _NO:
        return said.lower() in _YES
    message = f"{said[:80]!r} is neither true nor false; true, false, 1, 0, yes and no are understood"
    return Refusal(422, f"fraud: {message}", (("fraud", message),))
