"""The deduplication index: transaction ids seen within `dedupe`, with their sequence numbers, in memory."""

import secrets

import numpy as np
from numpy.typing import NDArray

from penstock.clock import EVER_US
from penstock.errors import CapacityError
from penstock.ledger import index
from penstock.ledger.index import BLOCK, FULL, TIME_BITS

_FINEST = 1 << 22
_STEP_BLOCKS = 16
_SWEEP_ROWS = 1024
_MOST_SEQ = 1 << (63 - TIME_BITS)


class Claims:
    """The ids of one detector as 64-bit codes, each with the sequence number of its first event.

    An id is remembered for `dedupe_us` after its arrival, to one part in four million (half a second at 30 days), and
    forgotten afterwards; what is forgotten is swept out little by little. 18 to 37 bytes an id. Two ids share a code
    with probability 2^-64, so the caller looks at the record before it trusts a hit. Used by one thread.

    newest_us: the latest arrival the ledger knows, where claims are restored; the clock starts there.

    >>> claims = Claims(dedupe_us=30 * 86_400_000_000)
    >>> now = np.zeros(3, np.int64)
    >>> claims.claim(np.array([7, 8, 7]), now, first_seq=100).tolist()
    [-1, -1, 100]
    >>> claims.peek(np.array([8, 9, 7]), now).tolist()
    [101, -1, 100]
    """

    def __init__(self, dedupe_us: int, *, newest_us: int = 0) -> None:
        self.dedupe_us = dedupe_us
        self._unit = -1 if dedupe_us >= EVER_US else max(0, (dedupe_us // (_FINEST + 1)).bit_length())
        self._keep = dedupe_us >> self._unit if self._unit >= 0 else 0
        self._all_us = dedupe_us + 2 * self.unit_us  # after so long a pause nothing is left
        self._salt = np.uint64(secrets.randbits(64) | 1)  # so that nobody can choose ids that crowd one block
        self._slots = np.zeros((_STEP_BLOCKS * BLOCK, 2), np.int64)
        self._used = np.zeros(_STEP_BLOCKS, np.int64)
        self._depth = np.zeros(_STEP_BLOCKS, np.int64)
        self._directory = np.zeros(1, np.int64)
        self._bits = 0
        self._blocks = 1
        self._scratch = np.empty((BLOCK, 2), np.int64)
        self._newest_us = newest_us
        self._sweep_at = 0
        self._sweep_due = 0.0

    def __len__(self) -> int:
        """Ids held, expired ones that are not swept out yet included."""
        return int(self._used.sum())

    @property
    def unit_us(self) -> int:
        """The resolution of times."""
        return 1 << max(self._unit, 0)

    @property
    def size_bytes(self) -> int:
        """Memory of the slots."""
        return self._slots.nbytes

    def claim(self, codes: NDArray[np.int64], arrived_us: NDArray[np.int64], first_seq: int) -> NDArray[np.int64]:
        """-1 where the id is new, else the sequence number of the event that came first.

        The new ids are claimed with consecutive numbers from `first_seq`, in the order of their rows, which is how a
        record of the new rows alone will number them. An id that comes twice in the batch is new once. Code 0 (no id)
        is always new.

        Raises:
            CapacityError: beyond sequence number 5 * 10^11; nothing was claimed.
        """
        if first_seq + len(codes) > _MOST_SEQ:
            raise CapacityError(f"sequence number {first_seq} is beyond the {_MOST_SEQ} that one ledger can number")
        out = np.empty(len(codes), np.int64)
        row, seq = 0, first_seq
        while row < len(codes):
            begin, last_us = row, self._newest_us + self._all_us
            row, seq, newest_us = self._look(codes, arrived_us, last_us, row, seq, out, writing=True)
            self._advance(newest_us, row - begin)
            if row < len(codes):
                arrival_us = max(int(arrived_us[row]), newest_us)
                if arrival_us > self._newest_us + self._all_us:
                    self._clear(arrival_us)
                elif arrival_us <= last_us:
                    self._make_room(codes[row], self._in_units(arrival_us))
        return out

    def peek(self, codes: NDArray[np.int64], arrived_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """The result of `claim` for each id alone, without claiming it."""
        out = np.full(len(codes), -1, np.int64)
        self._look(codes, arrived_us, self._newest_us + self._all_us, 0, 0, out, writing=False)
        return out

    def unclaim(self, codes: NDArray[np.int64], first_seq: int) -> None:
        """Undo a `claim` whose record was never appended."""
        index.void_rows(self._slots, self._directory, self._shift, self._salt, codes, first_seq, first_seq + len(codes))

    def restore(self, codes: NDArray[np.int64], arrived_us: NDArray[np.int64], seqs: NDArray[np.int64]) -> None:
        """Load the ids of the ledger: called with all stretches of ids, in any order, before the first claim."""
        young = arrived_us >= self._newest_us - self.dedupe_us
        codes, seqs = np.ascontiguousarray(codes[young]), np.ascontiguousarray(seqs[young], np.int64)
        times = arrived_us[young] >> self._unit & ((1 << TIME_BITS) - 1) if self._unit >= 0 else np.zeros(len(codes), np.int64)
        row = 0
        while True:
            row = index.restore_rows(self._slots, self._used, self._directory, self._shift, self._salt, codes, times, seqs, row)
            if row == len(codes):
                return
            self._make_room(codes[row], self._in_units(self._newest_us))

    # ------------------------------------------------------------ time

    def _clear(self, newest_us: int) -> None:
        """Everything has expired."""
        self._slots[:] = 0
        self._used[:] = 0
        self._newest_us = newest_us

    def _advance(self, newest_us: int, rows: int) -> None:
        """Advance the clock, and sweep expired ids from some blocks: from all of them at least twice within `dedupe`."""
        elapsed_us = newest_us - self._newest_us
        self._newest_us = newest_us
        if self.dedupe_us >= EVER_US:
            return
        self._sweep_due += rows / _SWEEP_ROWS + self._blocks * min(1.0, 2 * elapsed_us / max(self.dedupe_us, 1))
        if self._sweep_due < 1:
            return
        now = self._in_units(newest_us)
        for _ in range(min(int(self._sweep_due), self._blocks)):
            self._deal(self._sweep_at, self._sweep_at, 0, now)
            self._sweep_at = (self._sweep_at + 1) % self._blocks
        self._sweep_due -= int(self._sweep_due)

    def _in_units(self, instant_us: int) -> int:
        return 0 if self._unit < 0 else (instant_us >> self._unit) & ((1 << TIME_BITS) - 1)

    # ------------------------------------------------------------ blocks

    @property
    def _shift(self) -> int:
        return 64 - self._bits

    def _look(
        self,
        codes: NDArray[np.int64],
        arrived_us: NDArray[np.int64],
        last_us: int,
        row: int,
        seq: int,
        out: NDArray[np.int64],
        *,
        writing: bool,
    ) -> tuple[int, int, int]:
        """Fill `out` from a row on: see `index.claim_rows`."""
        found: tuple[int, int, int] = index.claim_rows(
            self._slots,
            self._used,
            self._directory,
            self._shift,
            self._salt,
            codes,
            arrived_us,
            self._newest_us,
            last_us,
            self._unit,
            self._keep,
            row,
            seq,
            writing,
            out,
        )
        return found

    def _deal(self, source: int, target: int, bit: int, now: int) -> int:
        return int(index.deal(self._slots, self._used, self._scratch, source, target, bit, self._salt, now, self._keep))

    def _make_room(self, code: np.int64, now: int) -> None:
        """Sweep the full block that this code belongs to; split it if that does not free a quarter."""
        block = int(index.block_of_code(self._directory, self._shift, self._salt, code))
        if self._deal(block, block, 0, now) < FULL // 4:
            self._split(block, now)

    def _split(self, block: int, now: int) -> None:
        if self._depth[block] == self._bits:
            self._directory = np.repeat(self._directory, 2)
            self._bits += 1
        fresh = self._new_block()
        bit = 63 - int(self._depth[block])
        self._depth[block] += 1
        self._depth[fresh] = self._depth[block]
        places = np.flatnonzero(self._directory == block)
        self._directory[places[len(places) // 2 :]] = fresh
        self._deal(block, fresh, bit, now)

    def _new_block(self) -> int:
        if self._blocks == len(self._used):
            more = self._blocks + _STEP_BLOCKS
            self._slots.resize((more * BLOCK, 2), refcheck=False)  # moves pages, copies nothing
            self._used.resize(more, refcheck=False)
            self._depth.resize(more, refcheck=False)
        self._blocks += 1
        return self._blocks - 1
