"""Claims against a dict, over streams with repeats, gaps in time, clocks that step back, and batches taken back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.clock import EVER_US
from penstock.errors import CapacityError
from penstock.ledger import Claims
from penstock.ledger.index import BLOCK

SECOND_US = 1_000_000


class Naive:
    """The same promises, said with a dict. Times in units of the table."""

    def __init__(self, dedupe_us, unit_us):
        self.keep, self.unit_us, self.now_us, self.seen = dedupe_us // unit_us, unit_us, 0, {}

    def look(self, codes, arrived_us, seq, *, writing=True):
        now_us, out = self.now_us, []
        for code, at_us in zip(codes, arrived_us, strict=True):
            now_us = max(now_us, at_us)
            first = self.seen.get(code)
            live = first is not None and now_us // self.unit_us - first[1] // self.unit_us <= self.keep
            out.append(first[0] if live and code else -1)
            if not live or not code:
                if writing and code:
                    self.seen[code] = (seq, now_us)
                seq += 1
        if writing:
            self.now_us = now_us
        return out

    def unclaim(self, codes, first_seq):
        for code in codes:
            if first_seq <= self.seen.get(code, (-1, 0))[0] < first_seq + len(codes):
                del self.seen[code]


codes = st.integers(0, 12)
steps = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "claim", "peek", "claim and take back"]),
        st.lists(st.tuples(codes, st.integers(-3, 3)), max_size=8),
        st.sampled_from([0, 1, 4, 9, 10, 11, 30, 1_000_000]),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.sampled_from([0, 10 * SECOND_US, EVER_US]))
def test_claims_answer_like_a_dict_that_forgets(steps, dedupe_us):
    claims = Claims(dedupe_us)
    naive = Naive(dedupe_us, claims.unit_us)
    now_s, seq = 1_700_000_000, 5
    for what, rows, pause_s in steps:
        now_s += pause_s
        ids = np.array([code for code, _ in rows], np.int64)
        arrived = np.array([(now_s + jitter) * SECOND_US for _, jitter in rows], np.int64)
        if what == "peek":
            assert claims.peek(ids, arrived).tolist() == naive.look(ids.tolist(), arrived.tolist(), seq, writing=False)
            continue
        assert claims.claim(ids, arrived, seq).tolist() == naive.look(ids.tolist(), arrived.tolist(), seq)
        if what == "claim and take back":
            claims.unclaim(ids, seq)
            naive.unclaim(ids.tolist(), seq)
        seq += len(rows)


def test_many_ids_split_blocks_and_all_are_found():
    claims = Claims(30 * 86_400 * SECOND_US)
    ids = np.random.default_rng(1).integers(1, 2**62, 40 * BLOCK)
    now = np.full(len(ids), 10**15)
    for start in range(0, len(ids), 1_000):
        part = slice(start, start + 1_000)
        assert (claims.claim(ids[part], now[part], start) == -1).all()
    assert (claims.peek(ids, now) == np.arange(len(ids))).all()
    assert len(claims) == len(ids)
    assert claims.size_bytes / len(ids) < 40


def test_ids_that_expired_are_swept_out_so_that_memory_stays_bounded():
    claims = Claims(10 * SECOND_US)
    rng = np.random.default_rng(2)
    sizes = []
    for second in range(200):
        claims.claim(rng.integers(1, 2**62, 2_000), np.full(2_000, second * SECOND_US), second * 2_000)
        sizes.append(len(claims))
    assert max(sizes[100:]) < 2.2 * 11 * 2_000
    assert claims.size_bytes < 4_000_000


def test_a_batch_that_spans_more_than_dedupe_and_splits_blocks_forgets_nothing_too_early():
    ids = np.random.default_rng(5).permutation(np.repeat(np.random.default_rng(6).integers(1, 2**62, 15_000), 3))
    arrived = np.sort(np.random.default_rng(7).integers(0, 60 * SECOND_US, len(ids)))
    claims = Claims(10 * SECOND_US)
    naive = Naive(10 * SECOND_US, claims.unit_us)
    assert claims.claim(ids, arrived, 0).tolist() == naive.look(ids.tolist(), arrived.tolist(), 0)


def test_restoring_is_the_same_as_having_claimed():
    ids = np.random.default_rng(3).integers(1, 2**62, 20_000)
    arrived = np.sort(np.random.default_rng(4).integers(0, 20 * SECOND_US, 20_000))
    lived = Claims(10 * SECOND_US)
    assert (lived.claim(ids, arrived, 0) == -1).all()
    restored = Claims(10 * SECOND_US, newest_us=int(arrived[-1]))
    order = np.argsort(ids)
    for part in np.array_split(order, 7):
        restored.restore(ids[part], arrived[part], part)
    later = np.full(len(ids), arrived[-1] + SECOND_US)
    assert (restored.peek(ids, later) == lived.peek(ids, later)).all()
    assert (lived.peek(ids, later) == -1).sum() > 5_000


def test_a_sequence_number_that_does_not_fit_is_refused_and_nothing_is_claimed():
    claims = Claims(SECOND_US)
    with pytest.raises(CapacityError, match="beyond"):
        claims.claim(np.array([1]), np.zeros(1, np.int64), 2**39)
    assert len(claims) == 0
