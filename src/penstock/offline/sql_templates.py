"""SQL templates in files: `-- name: X`, then one SELECT with `${...}` placeholders."""

import re
from string import Template

from penstock.database.statements import statements

NO_LABELS = "SELECT '' AS transaction_id, 0 AS seq, 0 AS fraud WHERE false"
"""Stands for the question `labels` of `truth.sql` where nobody said anything."""

_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)


def filled(package: str, file: str, name: str, **values: object) -> str:
    """One question of a file, its places filled in.

    Args:
        package: where the file is kept.
        file: its name.
        name: which one.
        values: SQL for each `${...}`; texts and names have to be quoted already.
    """
    return Template(_COMMENT.sub("", statements(package, file)[name])).substitute(values)


def text(value: object) -> str:
    """A text as SQL.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + str(value).replace("'", "''") + "'"


def quoted(name: str) -> str:
    """The name of a column or view as SQL.

    >>> quoted('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'
