"""Features: what is declared about entities (`entity`, `derive`, `lookups`, `money`), and what computes it exactly.

`plan` compiles declarations into flat tables, `table` holds one entity's state, `kernel` does the work.
"""

from penstock.features.derive import Derived, derive
from penstock.features.entity import Aggregate, Entity
from penstock.features.label import Label

__all__ = ["Aggregate", "Derived", "Entity", "Label", "derive"]
