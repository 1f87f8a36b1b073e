"""Questions about a key: who else was seen with its values within a window."""

import numpy as np

from penstock.features.kernel.hash_tables import find_slot
from penstock.features.kernel.link_blocks import entry_at, node_code
from penstock.features.kernel.link_rings import events_until, total_until
from penstock.features.kernel.link_words import (
    A_AMOUNT,
    A_DELAY,
    A_OP,
    A_OUT,
    A_WORD,
    COUNT,
    E_BACK,
    E_CODE,
    E_LAST,
    E_PERSON,
    E_RING,
    E_SLOT,
    FRAUD_SHARE,
    FRAUDS,
    HUBS,
    K_DEGREE,
    K_VALUE,
    K_WIDTH,
    KEY_SIDE,
    LATEST,
    MARK,
    OTHERS,
    Q_AT,
    Q_CURRENT,
    Q_FIRST,
    Q_LINKS,
    Q_STOP,
    Q_WINDOW,
    QUESTION,
    TOTAL,
    VALUE_SIDE,
)
from penstock.features.kernel.words import MISSING
from penstock.jit import njit


@njit(_nrt=False, error_model="numpy")
def ask(P, S, question, codes, linked, time, out):
    """Answer a question about the key that the event has in the column of the question: null without one, and where the key
    itself is a hub.

    codes: of the event; linked: which links the event itself makes; time: see `links.as_of`; out: the event's features.
    """
    Q = P.questions[question]
    person_code, hubs = codes[Q[Q_AT]], np.int64(-1)
    if person_code != 0:
        S.meta[QUESTION] += 1
        S.found[:] = 0
        hubs = np.int64(0)
        for link in range(P.links.shape[0]):
            if hubs >= 0 and (Q[Q_LINKS] >> link) & 1:
                current = codes[P.links[link, K_VALUE]] if Q[Q_CURRENT] and linked[link] else np.int64(0)
                more = _look_around(P, S, Q, link, person_code, current, time)
                hubs = hubs + more if more >= 0 else np.int64(-1)
    for answer in range(Q[Q_FIRST], Q[Q_STOP]):
        out[P.answers[answer, A_OUT]] = _answered(P, S, answer, hubs)


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _answered(P, S, answer, hubs):
    """The value of a feature."""
    op, found, others = P.answers[answer, A_OP], S.found[1 + answer], S.found[0]
    if hubs < 0:
        return np.nan
    if op == OTHERS:
        return float(others)
    if op == HUBS:
        return float(hubs)
    if op == TOTAL:
        return found / P.scales[P.answers[answer, A_AMOUNT]]
    if op == FRAUD_SHARE:
        return found / others if others else 0.0
    return float(found)


@njit(_nrt=False, error_model="numpy")
def _look_around(P, S, Q, link, person_code, current, time):
    """Count the others over the values of a key in one link. Returns how many values are hubs, -1 where the key itself is one.

    current: the value that the event itself links the key with; 0 where it does not.
    """
    low, high, most = time - Q[Q_WINDOW], time + P.skew, P.links[link, K_DEGREE]
    key_code, value_code = node_code(person_code, link, KEY_SIDE), node_code(current, link, VALUE_SIDE)
    slot, hubs, seen = find_slot(S, key_code), np.int64(0), value_code == 0
    if slot >= 0:
        node = S.nodes[slot]
        if node[COUNT] >= most and _degree(S, node, value_code, low) + (value_code != 0) > most:
            return np.int64(-1)
        for place in range(node[COUNT]):
            at = entry_at(node, place)
            if S.pool[at + E_LAST] <= low:
                continue
            value = S.nodes[S.pool[at + E_SLOT]]
            is_current = S.pool[at + E_CODE] == value_code
            seen = seen or is_current
            if _is_hub(S, value, key_code, low, most):
                hubs += 1
            elif is_current or _met(P, S, value, S.pool[at + E_BACK], link, low, high):
                _count_others(P, S, Q, link, value, key_code, time)
    if not seen:
        slot = find_slot(S, value_code)
        if slot >= 0 and _is_hub(S, S.nodes[slot], key_code, low, most):
            hubs += 1
        elif slot >= 0:
            _count_others(P, S, Q, link, S.nodes[slot], key_code, time)
    return hubs


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _is_hub(S, value, key_code, low, most):
    """Whether more than so many others were seen with a value since a time."""
    return value[COUNT] > most and _degree(S, value, key_code, low) > most


@njit(_nrt=False, error_model="numpy")
def _degree(S, node, but, low):
    """How many entries of a node, but for one, are later than a time."""
    found = np.int64(0)
    for place in range(node[COUNT]):
        at = entry_at(node, place)
        found += S.pool[at + E_LAST] > low and S.pool[at + E_CODE] != but
    return found


@njit(_nrt=False, error_model="numpy", forceinline=True)
def _met(P, S, value, place, link, low, high):
    """Whether the key in an entry of a value that is no hub was seen with it within a window."""
    at = entry_at(value, place)
    if S.pool[at + E_LAST] <= high:
        return S.pool[at + E_LAST] > low
    width = P.links[link, K_WIDTH]
    events = events_until(S, at, width, high)
    return events > 0 and S.pool[S.pool[at + E_RING] + (events - 1) * width] > low


@njit(_nrt=False, error_model="numpy")
def _count_others(P, S, Q, link, value, key_code, time):
    """Count who else was seen with a value, each person once in a question."""
    low, high, width = time - Q[Q_WINDOW], time + P.skew, P.links[link, K_WIDTH]
    for place in range(value[COUNT]):
        at = entry_at(value, place)
        other = S.pool[at + E_PERSON]
        if S.pool[at + E_LAST] <= low or S.pool[at + E_CODE] == key_code or not _met(P, S, value, place, link, low, high):
            continue
        is_new = S.nodes[other, MARK] != S.meta[QUESTION]
        if is_new:
            S.nodes[other, MARK] = S.meta[QUESTION]
            S.found[0] += 1
        for answer in range(Q[Q_FIRST], Q[Q_STOP]):
            op = P.answers[answer, A_OP]
            if op == TOTAL:
                word = P.amounts[P.answers[answer, A_AMOUNT], A_WORD]
                S.found[1 + answer] += total_until(S, at, width, word, high) - total_until(S, at, width, word, low)
            elif is_new and op in (FRAUDS, FRAUD_SHARE):
                fraud = S.nodes[other, LATEST]
                S.found[1 + answer] += fraud != MISSING and fraud <= time - P.answers[answer, A_DELAY]
