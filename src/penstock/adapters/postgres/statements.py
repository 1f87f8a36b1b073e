"""Named SQL statements, read from a file."""

import re
from functools import cache
from importlib.resources import files


@cache
def statements(file: str) -> dict[str, str]:
    """Statement by name.

    >>> statements("tables.sql")["setting"].splitlines()[1]
    'SELECT value FROM settings WHERE log = %s AND name = %s;'
    """
    text = files("penstock.adapters.postgres").joinpath(file).read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
