"""The training recipe of the public Fraud_Data file: split by number of purchases, as the file is commonly used.

Purchases within a minute of signing up are all fraud, and all of them were made in January 2015. They are an episode, not
a habit, so every figure is given with and without them.
"""

from datetime import UTC, datetime

from penstock.detector import Apart, Recipe

recipe = Recipe(
    rows=50_000,
    hold_out=5_000,
    folds=3,
    trials=4,
    imbalance="smote",
    apart=Apart("the January burst", before=datetime(2015, 2, 1, tzinfo=UTC)),
)
