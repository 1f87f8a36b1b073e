"""Lists of values, in files and in declarations: each entry with author, reason and period of validity.

    value,reason,author,added_at,expires_at,removed_at
    D-4711,reported stolen,ana,2026-02-06T10:00:00Z,,

Only `value` is needed. `penstock lists export` writes such a file with all past and present entries, so that a replay of
recorded events sees the list as of each event.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from penstock.clock import iso, to_us
from penstock.errors import DataError, DeclarationError
from penstock.expressions import ListMember, Members
from penstock.expressions.members import ALWAYS_US, NEVER_US
from penstock.wording import csv_cell, csv_text

COLUMNS = ("value", "reason", "author", "added_at", "expires_at", "removed_at")
LONGEST_VALUE = 500

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")


class Listed(NamedTuple):
    """One line of a list file; unknown times are None."""

    value: str
    reason: str = ""
    author: str = ""
    added_us: int | None = None
    expires_us: int | None = None
    removed_us: int | None = None

    @property
    def member(self) -> ListMember:
        """The value, for the arrivals that it counts for."""
        until = min(NEVER_US if time is None else time for time in (self.expires_us, self.removed_us))
        return ListMember(self.value, ALWAYS_US if self.added_us is None else self.added_us, until)


Declared = Sequence[str] | Path | str | Members
"""Values, or the file that holds them."""


def read_listed(text: str, place: str) -> list[Listed]:
    r"""The lines of a file; place: its name in errors.

    >>> [line.value for line in read_listed("value,reason\nD1,stolen\n\nD2,\n", "devices.csv")]
    ['D1', 'D2']

    Raises:
        DataError: there is no column `value`, or a line cannot be read; names the line.
    """
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        unknown = [name for name in header if name not in COLUMNS]
        if "value" not in header or unknown:
            what = f"does not know {', '.join(map(repr, unknown))}" if unknown else "needs a column `value`"
            raise DataError(f"{place}: a list {what}; its first line names some of: {', '.join(COLUMNS)}")
        width, where = len(header), [header.index(name) if name in header else -1 for name in COLUMNS]
        cells_of = itemgetter(*where)  # the last cell is made here, and is empty
        return [
            _listed(cells_of([*row, ""] if len(row) == width else _filled(row, width)), f"{place}, line {rows.line_num}")
            for row in rows
            if any(row)
        ]
    except csv.Error as error:
        raise DataError(f"{place}, line {rows.line_num}: this is no CSV: {error}") from error


def _filled(row: list[str], width: int) -> list[str]:
    return [*row[:width], *[""] * (1 + width - len(row[:width]))]


def _listed(cells: Iterable[str], place: str) -> Listed:
    """The line of these cells, one for each of the columns."""
    value, reason, author, *times = (csv_text(cell.strip()) for cell in cells)
    if not any(times):
        return Listed(checked_value(value, place), reason, author)
    instants = [_instant(time, f"{place}: {name}") for time, name in zip(times, COLUMNS[3:], strict=True)]
    return Listed(checked_value(value, place), reason, author, *instants)


def checked_value(value: str, place: str) -> str:
    """A value in the form in which it is compared: exact, but without surrounding spaces.

    Raises:
        DataError: it does not exist, or it is too long.
    """
    value = value.strip()
    if not 0 < len(value) <= LONGEST_VALUE:
        raise DataError(f"{place}: a value has 1 to {LONGEST_VALUE} characters, this one {len(value)}")
    return value


def _instant(text: str, place: str) -> int | None:
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DataError(f"{place}: {text!r} is no time; write it as 2026-01-31T12:00:00Z") from None
    return to_us(found if found.tzinfo else found.replace(tzinfo=UTC))


def write_listed(lines: Iterable[Listed]) -> str:
    """The file of these lines."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        times = ("" if time is None else iso(time) for time in line[3:])
        writer.writerow([*map(csv_cell, (line.value, line.reason, line.author)), *times])
    return out.getvalue()


def check_list_name(name: object) -> str:
    """The name, where it can be one.

    Raises:
        DeclarationError: it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DeclarationError(f"list {name!r}: a name has up to 63 letters, digits and _, as in stolen_devices")
    return name


def declared_lists(lists: Mapping[str, Declared], folder: Path) -> dict[str, Members]:
    """The lists that a detector declares, by name: values, or the file with them, relative to `folder` or the file's folder.

    >>> declared_lists({"vip": ["C1"]}, Path("."))["vip"].values.tolist()
    ['C1']

    Raises:
        DeclarationError: a name, a value or a file cannot be used.
    """
    return {
        name if isinstance(given, Members) else check_list_name(name): _declared(name, given, folder)
        for name, given in lists.items()
    }


def _declared(name: str, given: Declared, folder: Path) -> Members:
    place = f"list {name!r}"
    if isinstance(given, Members):
        return given
    try:
        if not isinstance(given, str | Path):
            return Members.of(ListMember(checked_value(value, place)) for value in given)
        path = folder / given if (folder / given).exists() else Path(given)
        return Members.of(line.member for line in read_listed(path.read_text("utf-8"), str(path)))
    except OSError as error:
        raise DeclarationError(f"{place}: {given} cannot be read: {error.strerror}") from error
    except (DataError, UnicodeDecodeError, TypeError, AttributeError) as error:
        raise DeclarationError(f"{place}: give values as texts, or a CSV file of them: {error}") from error
