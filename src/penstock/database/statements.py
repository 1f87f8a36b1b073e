"""Named SQL statements in files: `-- name: X`, then one statement."""

import re
from functools import cache
from importlib.resources import files


@cache
def statements(package: str, file: str) -> dict[str, str]:
    """The statements of a file by name.

    >>> statements("penstock.ledger", "tables.sql")["layouts"].splitlines()[1]
    'SELECT layout_id, columns FROM layouts;'
    """
    parts = re.split(r"^-- name: (\w+)\n", files(package).joinpath(file).read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
