"""Features: their declarations (`entity`, `derive`, `lookups`, `money`) and their exact computation.

`plan` compiles declarations into flat tables, `table` holds one entity's state, `kernel` computes the features.
"""

from penstock.features.derive import Derived, derive
from penstock.features.entity import Aggregate, Entity
from penstock.features.label import Label

__all__ = ["Aggregate", "Derived", "Entity", "Label", "derive"]
