"""What the tables of links and of rings share: they read the keys of events alike, and are asked alike."""

from dataclasses import replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from penstock.features.entity import Entity
from penstock.features.kernel.handles import read_keys
from penstock.features.kernel.words import NO_EVENT
from penstock.features.link_plan import EntityLinks, EntityRingPlan
from penstock.messages import Batch

Plan = TypeVar("Plan", EntityLinks, EntityRingPlan)


class LinkedKeys(Generic[Plan]):
    """The keys of one entity, and what links them. A table says what a batch does to it: `_apply`."""

    def __init__(self, plan: Plan) -> None:
        self.plan: Plan = plan
        self._columns = int(plan.plan.fields[:, 0].max()) + 1

    def codes_of(self, batch: Batch, rows: slice = slice(None)) -> NDArray[np.int64]:
        """The codes of events, or of some rows: see `fields` of the kernel's plan."""
        x, codes = batch.x[rows], batch.codes[rows]
        found = np.empty((len(x), self._columns), np.int64)
        read_keys(self.plan.plan.fields, x, codes, found)
        return found

    def is_of(self, entity: Entity) -> bool:
        """Whether the keys of this entity are linked."""
        return (self.plan.entity.fields, self.plan.entity.roles) == (entity.fields, entity.roles)

    def apply(
        self,
        batch: Batch,
        clock_us: int,
        keep: NDArray[np.bool_],
        admission: NDArray[np.uint8],
        *,
        moves: bool = True,
        read: bool = True,
        write: bool = True,
    ) -> None:
        """Run a batch through the table: see `apply_links` and `apply_rings` of the kernel."""
        self._apply(batch, self.codes_of(batch), clock_us, keep, admission, moves, read, write)

    def look(self, key: int, batch: Batch) -> None:
        """Answer all questions about a key, whatever its role, as of the time of a batch of one row without an event."""
        codes = np.zeros((1, self._columns), np.int64)
        codes[:, : len(self.plan.by_role)] = key
        asked = replace(batch, kinds=np.full(1, NO_EVENT, np.uint8))
        nothing = np.zeros(1, np.bool_), np.zeros(1, np.uint8)
        self._apply(asked, codes, int(batch.time_us[0]), *nothing, moves=False, read=True, write=False)

    def _apply(
        self,
        batch: Batch,
        codes: NDArray[np.int64],
        clock_us: int,
        keep: NDArray[np.bool_],
        admission: NDArray[np.uint8],
        moves: bool,
        read: bool,
        write: bool,
    ) -> None:
        raise NotImplementedError
