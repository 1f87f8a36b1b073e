"""Renaming of the columns of recorded files to the names in a detector's event."""

from collections.abc import Mapping, Sequence

import polars as pl


def under_own_names(frame: pl.DataFrame, others: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """The same rows with the event's column names, where the file uses another usual name, or other capitals, for them.

    others: other names for each of the event's, the likeliest first; a column that has the event's own name wins.

    >>> under_own_names(pl.DataFrame({"Client": ["C1"], "amt": [3.5]}), {"customer_id": ["client"], "amount": ["amt"]}).columns
    ['customer_id', 'amount']
    """
    present = {name.lower(): name for name in frame.columns}
    renamed: dict[str, str] = {}
    for name, usual in others.items():
        found = next((present[other] for other in (name, *usual) if other in present), None)
        if found is not None and found != name:
            renamed[found] = name
    return frame.rename(renamed)
