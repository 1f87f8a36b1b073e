"""From an entity's plan to the source of its function.

What differs between entities of the same shape stays in the plan's tables and is read once per call: the batch's columns, the
windows' bounds, scales. So one compiled function serves all entities of a shape, whatever their names.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from penstock.features.compiled.reading import ReadingCode
from penstock.features.kernel import words as k
from penstock.features.kernel.handles import PLACES

_HEAD = '''from penstock.features.compiled.parts import *

RW, W = U({row_width}), U({ring_width})  # words of a row, of a ring entry


def run(call, start):
    """{title}

    Runs events from row `start` on. Answers one more than the row at which arrays must be enlarged, or than the number of
    events.
    """
    h = words(words(call, CALL_WORDS)[CALL_HANDLE], HANDLE)
    B, S = batch_at(call), state_at(h)
    meta, rows, ring, distinct, offsets = S.meta, S.rows, S.ring, S.distinct, S.offsets
    keys, x, bits, codes, rare = B.keys, B.x, B.bits, B.codes, S.rare
    horizon, retention = h[{horizon}], h[{retention}]
'''

_TURNS = """    begin = start
    while begin < B.n:
        stop = min((begin | (TURN - 1)) + 1, B.n)
        look_ahead(S, B, {roles}, RW, begin, stop, begin == start)
        for i in range(begin, stop):
            near = i + NEAR
            if near < B.n:
                place = U((near & (2 * TURN - 1)) * {roles})
"""

_EVENT = """            if B.write and not has_room(S, {roles}, {distincts}, RW, W):
                return i + 1
            j, place = U(i), U((i & (2 * TURN - 1)) * {roles})
            time, clock, kind = B.times[j], B.clocks[j], np.int64(B.kinds[j])
            plain = B.write and B.keep[j] != 0 and B.admission[j] == 0 and {known}
            reads = B.read and kind == 0
"""


def function_of(plan: k.Plan) -> str:
    """The source of a module with the function `run` of this plan: deterministic, the same for equal shapes."""
    return "\n".join(_Source(plan).lines()) + "\n"


def _indented(depth: int, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield " " * depth + line if line else ""


class _Source(ReadingCode):
    """Writes the whole function."""

    def lines(self) -> Iterator[str]:
        """The whole module."""
        fields = type(self.sizes)._fields
        yield from _HEAD.format(
            title=self._title(),
            row_width=self.sizes.row_width,
            ring_width=self.sizes.ring_width,
            horizon=fields.index("horizon"),
            retention=fields.index("retention"),
        ).splitlines()
        yield from _indented(4, self._hoisted())
        yield from _TURNS.format(roles=self.roles).splitlines()
        yield from _indented(16, self._asked())
        known = "kind == 0" if self.sizes.known_kinds == 1 else f"({self.sizes.known_kinds} >> kind) & 1 != 0"
        if self.sizes.known_kinds >> self.sizes.labels_kind & 1:
            known += f" and kind != {self.sizes.labels_kind}"
        values = {"roles": self.roles, "distincts": len(self.plan.distincts), "known": known}
        yield from _EVENT.format(**values).splitlines()
        yield from _indented(12, self._event())
        yield "        begin = stop"
        yield "    return B.n + 1"

    def _title(self) -> str:
        spans, features, windows = len(self.plan.spans), len(self.plan.features), self.cursors - 1
        roles = f" in {self.roles} roles" if self.roles > 1 else ""
        return f"{features} features from {spans} spans within {windows} bounds{roles}."

    # ---- what is read once

    def _hoisted(self) -> list[str]:
        """Columns of the batch, bounds and scales, from the plan's tables."""
        plan, found = self.plan, []
        found += [f"offset{c} = offsets[{c}]" for c in range(self.cursors)]
        tables = {
            "features": len(plan.features),
            "channels": len(plan.channels),
            "items": len(plan.items),
            "distincts": len(plan.distincts),
            "labels": len(plan.labels),
            "sessions": len(plan.sessions),
        }
        found += [f"{name} = array_at(h, {PLACES[name]})" for name, rows in tables.items() if rows]
        if len(plan.scales):
            found.append(f"scales = numbers(h[{PLACES['scales']}], h[{PLACES['scales'] + 1}])")
        for name, table, source, where, width in (
            ("channel", plan.channels, k.C_SOURCE, k.C_WHERE, k.C_WIDTH),
            ("item", plan.items, k.I_SOURCE, k.I_WHERE, k.I_WIDTH),
            ("distinct", plan.distincts, k.D_SOURCE, k.D_WHERE, k.D_WIDTH),
            ("label", plan.labels, None, k.L_WHERE, k.L_WIDTH),
        ):
            for row, line in enumerate(table):
                if source is not None and line[source] >= 0:
                    found.append(f"{name}{row}_column = U({name}s[{row * width + source}])")
                if line[where] >= 0:
                    found.append(f"{name}{row}_where = U({name}s[{row * width + where}])")
        found += [f"scale{c} = scales[{c}]" for c in range(len(plan.channels))]
        found += [f"gap{z} = sessions[{z * k.Z_WIDTH + k.Z_GAP}]" for z in range(len(plan.sessions))]
        numeric = np.flatnonzero(plan.features[:, k.F_TEXT] != 1)
        if len(numeric):
            found.append(f"out = U(features[{int(numeric[0]) * k.F_WIDTH + k.F_OUT}])")
        return found + [part for f, line in enumerate(plan.features) for part in self._hoisted_of(f, line)]

    def _hoisted_of(self, f: int, line: np.ndarray) -> Iterator[str]:
        """What one feature reads once."""
        words = {}
        if line[k.F_TEXT] == 1:
            yield f"text{f} = U(features[{f * k.F_WIDTH + k.F_OUT}])"
        if line[k.F_OP] >= k.LAST:
            words["window"] = k.F_WINDOW
        elif k.QUANTILE <= line[k.F_OP] < k.SESSION_COUNT:
            words = {"most": k.F_MOST, "rank": k.F_RANK} if line[k.F_OP] != k.APPROX_QUANTILE else {"rank": k.F_RANK}
        yield from (f"{name}{f} = features[{f * k.F_WIDTH + word}]" for name, word in words.items())

    def _asked(self) -> list[str]:
        """What the event `near` will read of rings and of distinct values."""
        found = []
        for role in range(self.roles):
            found += [f"slot = S.slots[place + U({role})]", f"ask_for_entries(S, RW, W, {self.cursors}, slot)"]
            for d, line in enumerate(self.plan.distincts):
                code = self.word("distinct", d, bool(line[k.D_TEXT]), "U(near)")
                owner = f"slot * {len(self.plan.distincts)} + {d + 1}"
                ask = f"ask_for(distinct, distinct_home(S, {owner}, {code}) * U(3))"
                large = "rows[U(max(slot, 0)) * RW + LOG2] > SCANNED_RING_LOG2"
                found += [ask] if line[k.D_EVER] else [f"if {large}:", f"    {ask}"]
        return found

    # ---- one event

    def _event(self) -> list[str]:
        roles = range(self.roles)
        found = [f"key{r} = keys[j * U({self.roles}) + U({r})]" for r in roles]
        if self.roles == 1:
            found += ["if key0 == 0:", "    continue"]
        else:
            others = " and ".join(f"key{a} != key{b}" for a in roles for b in range(a))
            nulls = " and ".join(f"key{r} != 0" for r in roles)
            found.append(f"plain = plain and {nulls} and {others}")
        found.append("if plain:  # find the rows, and see whether the event comes in order")
        for r in roles:
            found += [f"    {line}" for line in self._row(r)]
        found += ["if not plain:", "    call_rare(rare, RARE_EVENT, call, i, 0, 0)", "    continue"]
        found += ["values, texts = j * B.width, j * B.texts"]
        found += self.gathered()
        for r in roles:
            found += [f"row = U(slot{r}) * RW"] if self.roles > 1 else []
            found += [f"# role {r}: cursors, and what stands between them"] if self.roles > 1 else ["# cursors"]
            found += self.sought(r)
            found += [self.last(r, d) for d in range(len(self.plan.distincts))]
            found += ["if reads:", *(f"    {line}" for line in self.read(r) or ["pass"])]
        for r in roles:
            found += [f"row = U(slot{r}) * RW"] if self.roles > 1 else []
            found += [f"# role {r}: the event enters the key's ring"] if self.roles > 1 else ["# the event enters the ring"]
            found += self._written(r)
        return found

    def _row(self, r: int) -> list[str]:
        found = [
            f"slot{r} = slot_of(S, RW, key{r}, S.slots[place + U({r})])",
            f"if slot{r} < 0:",
            f"    slot{r} = call_rare(rare, RARE_KEY, call, key{r}, time, clock)",
            f"row = U(slot{r}) * RW",
            f"ring{r}, log2_{r} = rows[row + RING], rows[row + LOG2]",
            f"mask{r} = (np.int64(1) << log2_{r}) - 1",
            f"first{r}, end{r} = rows[row + FIRST], rows[row + END]",
            f"newest{r} = U(ring{r} + ((end{r} - 1) & mask{r})) * W",
            f"plain = {'plain & ' if r else ''}(ring{r} != NO_RING) & (clock - rows[row + TOUCHED] <= horizon)",
            "plain = plain & (time >= rows[row + NEWEST]) & (time >= rows[row + READ_AT])",
            f"plain = plain & ((end{r} == first{r}) | (ring[newest{r}] <= time))",
        ]
        ever = [line[k.G_HIGH] for line in self.plan.spans if line[k.G_LOW] < 0 and line[k.G_ROLE] == r]
        ever += [
            line[k.F_HIGH] for line in self.plan.features if line[k.F_LOW] < 0 and line[k.F_OP] < k.LAST and line[k.F_ROLE] == r
        ]
        return found + [f"plain = plain & (rows[row + BASE] <= time - offset{high})" for high in sorted(set(map(int, ever)))]

    # ---- writing

    def _written(self, r: int) -> list[str]:
        return [
            "rows[row + NEWEST] = time",
            "rows[row + TOUCHED] = max(clock, time)",
            f"if end{r} & (RETIRE_EVERY - 1) == 0 or end{r} - first{r} >= mask{r}:  # entries that no window reaches any more",
            *(f"    {line}" for line in self._retired(r)),
            *self._guarded(r),
            f"if end{r} - first{r} >= mask{r} or (log2_{r} > 6 and (end{r} - first{r}) << 4 <= mask{r}):",
            f"    call_rare(rare, RARE_PLACE, call, slot{r}, 0, 0)",
            f"    ring{r}, log2_{r} = rows[row + RING], rows[row + LOG2]",
            f"    mask{r} = (np.int64(1) << log2_{r}) - 1",
            f"    newest{r} = U(ring{r} + ((end{r} - 1) & mask{r})) * W",
            f"place = U(ring{r} + (end{r} & mask{r}))",
            "e = place * W",
            "ring[e] = time",
            f"rows[row + END] = end{r} + 1",
            *self._totals(r),
            *self._sessions(r),
            *self._kept(r),
        ]

    def _retired(self, r: int) -> list[str]:
        """Remove the oldest entries, and keep their values that outlive them in the row."""
        plan = self.plan
        found = [f"oldest = first{r}", f"while first{r} < end{r}:"]
        found += [f"    gone = U(ring{r} + (first{r} & mask{r})) * W", "    if ring[gone] > time - retention:", "        break"]
        for e, (c, minimum) in enumerate(plan.extremes):
            word, column = f"rows[row + U({self._outlived(e)})]", int(plan.channels[c, k.C_VALUE])
            found.append(f"    {word} = better({word}, ring[gone + U({column})], {bool(minimum)})")
        for line in plan.items:
            column, place = int(line[k.I_RING]), int(line[k.I_ROW])
            stands = f"ring[gone + U({column})] != MISSING and " if column >= 0 else ""
            found += [
                f"    if {stands}rows[row + U({place + k.OLD_TIME})] <= ring[gone]:",
                f"        rows[row + U({place + k.OLD_VALUE})] = {f'ring[gone + U({column})]' if column >= 0 else 1}",
                f"        rows[row + U({place + k.OLD_TIME})] = ring[gone]",
            ]
        for d, line in enumerate(plan.distincts):
            if not line[k.D_EVER]:
                column = int(line[k.D_RING])
                found += [
                    f"    held = log2_{r} > SCANNED_RING_LOG2 and ring[gone + U({column})] != MISSING",
                    f"    if held and ring[gone + U({column + 2})] < 0:",
                    f"        take_off(S, slot{r} * {len(plan.distincts)} + {d + 1}, ring[gone + U({column})])",
                ]
        return [
            *found,
            f"    first{r} += 1",
            f"if first{r} > oldest:",
            f"    rows[row + BASE] = max(rows[row + BASE], ring[U(ring{r} + ((first{r} - 1) & mask{r})) * W])",
            f"    rows[row + FIRST] = first{r}",
        ]

    def _guarded(self, r: int) -> list[str]:
        """A value that would carry a sum out of range stays out."""
        found = []
        for c, line in enumerate(self.plan.channels):
            if line[k.C_ABSOLUTE] < 0 or not line[k.C_ROLES] >> r & 1:
                continue
            word = f"rows[row + U({line[k.C_ABSOLUTE]})]"
            found += [
                f"if v{c} != MISSING:",
                f"    if abs(v{c}) <= LARGEST_SUM - {word}:",
                f"        {word} += abs(v{c})",
                "    else:",
                f"        v{c} = call_rare(rare, RARE_GUARD, call, slot{r}, {c}, v{c})",
            ]
        return found

    def _totals(self, r: int) -> list[str]:
        """The entry's running totals: those of the entry before it, and this event."""
        found = []
        for c, line in enumerate(self.plan.channels):
            counted = bool(line[k.C_ROLES] >> r & 1)
            present, value = (f"np.int64(v{c} != MISSING)", f"(v{c} if v{c} != MISSING else 0)") if counted else ("0", "0")
            for column, more in ((int(line[k.C_COUNT]), present), (int(line[k.C_SUM]), value)):
                if column >= 0:
                    found.append(f"ring[e + U({column})] = ring[newest{r} + U({column})] + {more}")
            column = int(line[k.C_SQUARES])
            if column >= 0:
                newer = f"ring[newest{r} + U({column})], ring[newest{r} + U({column + 1})]"
                found += [
                    f"more, less = squares_between({newer}, 0, 0, {value})",
                    f"ring[e + U({column})] = np.int64(more)",
                    f"ring[e + U({column + 1})] = np.int64(less)",
                ]
        return found

    def _sessions(self, r: int) -> list[str]:
        """How the entry's sessions stand."""
        found = []
        for z, (c, _, column) in enumerate(self.plan.sessions):
            channel = self.plan.channels[c]
            found.append(f"continue_session(ring, e, newest{r}, {column}, {channel[k.C_COUNT]}, {channel[k.C_SUM]}, gap{z})")
        return found

    def _kept(self, r: int) -> list[str]:
        """What the entry holds beside totals, and what the row remembers."""
        plan, found = self.plan, []
        if self.sizes.sequence >= 0:
            found.append(f"ring[e + U({self.sizes.sequence})] = B.first + i")
        for c, line in enumerate(plan.channels):
            if line[k.C_VALUE] >= 0:
                found.append(f"ring[e + U({line[k.C_VALUE]})] = {f'e{c}' if line[k.C_ROLES] >> r & 1 else 'MISSING'}")
        for n, line in enumerate(plan.labels):
            found.append(f"ring[e + U({line[k.L_RING]})] = {f'l{n}' if line[k.L_ROLES] >> r & 1 else -1}")
        for i, line in enumerate(plan.items):
            found += self._remembered(i, line, bool(line[k.I_ROLES] >> r & 1))
        for d, line in enumerate(plan.distincts):
            found += self._linked(r, d, line, bool(line[k.D_ROLES] >> r & 1))
        for e, (c, minimum) in enumerate(plan.extremes):
            column = int(plan.channels[c, k.C_VALUE])
            value = f"ring[e + U({column})]"
            found.append(f"summarise(S, {e}, {bool(minimum)}, {value}, end{r}, np.int64(place), log2_{r})")
        return found

    def _remembered(self, i: int, line: np.ndarray, counted: bool) -> list[str]:
        column, place = int(line[k.I_RING]), int(line[k.I_ROW])
        found = [f"ring[e + U({column})] = {f'i{i}' if counted else 'MISSING'}"] if column >= 0 else []
        if not counted:
            return found
        words = {name: f"rows[row + U({place + word})]" for name, word in _ITEM.items()}
        return [
            *found,
            f"if i{i} != MISSING:",
            f"    {words['last']} = i{i}",
            f"    {words['last time']} = time",
            f"    if {words['first time']} == MISSING or time < {words['first time']}:",
            f"        {words['first']} = i{i}",
            f"        {words['first time']} = time",
        ]

    def _linked(self, r: int, d: int, line: np.ndarray, counted: bool) -> list[str]:
        """A distinct value at the end of its chain."""
        column = int(line[k.D_RING])
        found = [f"ring[e + U({column})] = {f'd{d}' if counted else 'MISSING'}"]
        found += [f"ring[e + U({column + word})] = -1" for word in (1, 2)]
        if not counted:
            return found
        owner = f"slot{r} * {len(self.plan.distincts)} + {d + 1}"
        tabled = "True" if line[k.D_EVER] else f"log2_{r} > SCANNED_RING_LOG2"
        gone = "" if line[k.D_EVER] else f" if last{d}_{r} >= first{r} else -1"
        return [
            *found,
            f"if d{d} != MISSING:",
            f"    if {tabled}:",
            f"        enter_distinct(S, {owner}, d{d}, end{r})",
            f"    ring[e + U({column + 1})] = last{d}_{r}{gone}",
            f"    if last{d}_{r} >= first{r}:",
            f"        ring[U(ring{r} + (last{d}_{r} & mask{r})) * W + U({column + 2})] = end{r}",
        ]


_ITEM = {"last": k.LAST_VALUE, "last time": k.LAST_TIME, "first": k.FIRST_WORD, "first time": k.FIRST_TIME}
