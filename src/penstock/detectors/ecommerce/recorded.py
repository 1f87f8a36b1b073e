"""Reader of the public Fraud_Data file: purchases of an online shop with device, address, source, browser, sex and age.

Its columns are the event's. Rows are named by the engine (file and row) where the file has no transaction id; times
stand there without a zone and are taken as UTC.
"""

import polars as pl


def adapt(frame: pl.DataFrame) -> pl.DataFrame:
    """The same rows with column names in the event's spelling.

    >>> adapt(pl.DataFrame({"User_ID": [1], "class": [0]})).columns
    ['user_id', 'class']
    """
    return frame.rename({name: name.strip().lower() for name in frame.columns})
