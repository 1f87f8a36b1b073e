"""The part of a generated function that reads: the event's values, cursors, and features."""

import numpy as np

from penstock.features.kernel import words as k


class ReadingCode:
    """Writes what reads; every method gives the lines of one step of an event, by role r."""

    def __init__(self, plan: k.Plan) -> None:
        self.plan, self.sizes = plan, plan.sizes
        self.roles = int(plan.keys[-1, 0]) + 1
        self.cursors = len(plan.offsets)
        self.read_of: dict[int, set[int]] = {}  # the aggregates that read each span
        for line in plan.features:
            self.read_of.setdefault(int(line[k.F_SPAN]), set()).add(int(line[k.F_OP]))
        numeric = plan.features[plan.features[:, k.F_TEXT] != 1]
        self.base = int(numeric[0, k.F_OUT]) if len(numeric) else 0

    # ---- values of the event

    def word(self, name: str, row: int, text: bool, event: str | None = None) -> str:
        """A field's value as one word."""
        at = f"{name}{row}_column"
        values, texts = ("values", "texts") if event is None else (f"{event} * B.width", f"{event} * B.texts")
        if text:
            return f"code_or_missing(codes[{texts} + {at}])"
        return f"bits_or_missing(x[{values} + {at}], bits[{values} + {at}])"

    def _counts(self, name: str, row: int, where: int, kinds: int) -> str:
        """The condition under which an event counts, empty where it always does."""
        conditions = []
        if kinds != self.sizes.known_kinds:
            conditions.append(f"({kinds} >> kind) & 1 != 0")
        if where >= 0:
            conditions.append(f"x[values + {name}{row}_where] == 1.0")
        return " and ".join(conditions)

    def gathered(self) -> list[str]:
        """The event's values, MISSING where it has none: v channels, e unrounded, i items, d distinct fields, l labels."""
        plan, found = self.plan, []

        def assign(target: str, value: str, counts: str, other: str = "MISSING") -> None:
            found.append(f"{target} = {value} if {counts} else {other}" if counts else f"{target} = {value}")

        for c, line in enumerate(plan.channels):
            value, exact = self._of_channel(c, line)
            assign(f"v{c}", value, self._counts("channel", c, line[k.C_WHERE], line[k.C_KINDS]))
            if line[k.C_VALUE] >= 0:
                found.append(f"e{c} = {exact} if v{c} != MISSING else MISSING")
        for i, line in enumerate(plan.items):
            value = "np.int64(1)" if line[k.I_SOURCE] < 0 else self.word("item", i, bool(line[k.I_TEXT]))
            assign(f"i{i}", value, self._counts("item", i, line[k.I_WHERE], line[k.I_KINDS]))
        for d, line in enumerate(plan.distincts):
            value = self.word("distinct", d, bool(line[k.D_TEXT]))
            assign(f"d{d}", value, self._counts("distinct", d, line[k.D_WHERE], line[k.D_KINDS]))
        for n, line in enumerate(plan.labels):
            assign(f"l{n}", "np.int64(0)", self._counts("label", n, line[k.L_WHERE], line[k.L_KINDS]), "np.int64(-1)")
        return found

    def _of_channel(self, c: int, line: np.ndarray) -> tuple[str, str]:
        """A channel's value in units, and unrounded as a word."""
        if line[k.C_SOURCE] < 0:
            return "np.int64(0)", ""
        at = f"values + channel{c}_column"
        if line[k.C_TEXT]:
            code = f"codes[texts + channel{c}_column]"
            return f"(np.int64(0) if {code} != 0 else MISSING)", code
        return f"rounded(x[{at}], scale{c})", f"ordered(x[{at}], bits[{at}])"

    # ---- reading

    def sought(self, r: int) -> list[str]:
        """Every cursor where it belongs as of the event's time; cursor 0 stands at the end: all that is there has happened."""
        names = [f"c{c}_{r}" for c in range(self.cursors)]
        if not self.sizes.stepping:
            found = [f"{names[0]} = end{r}"]
            for c in range(1, self.cursors):
                args = f"ring, W, ring{r}, mask{r}, rows[row + CURSORS + U({c})], end{r}, time - offset{c}"
                found.append(f"{names[c]} = leap({args})")
        else:
            found = self._stepped(r, names)
        found += [f"rows[row + CURSORS + U({c})] = {name}" for c, name in enumerate(names)]
        return [*found, "rows[row + READ_AT] = time"]

    def _stepped(self, r: int, names: list[str]) -> list[str]:
        """Cursors entry by entry, for the counters that watch what passes them."""
        counters, found = self.plan.counters, []
        found += [f"{name} = rows[row + CURSORS + U({c})]" for c, name in enumerate(names)]
        found += [f"n{q}_{r} = rows[row + U({self.sizes.counters + q})]" for q in range(len(counters))]
        for c, name in enumerate(names):
            entry = f"U(ring{r} + ({name} & mask{r})) * W"
            watching = [line for q in range(len(counters)) for line in self._watched(r, q, c, names)]
            if c == 0:
                found.append(f"while {name} < end{r}:")
            else:
                found.append(f"while {name} < end{r} and ring[{entry}] <= time - offset{c}:")
            if watching:
                found += [f"    e = {entry}", *(f"    {line}" for line in watching)]
            found.append(f"    {name} += 1")
        return found + [f"rows[row + U({self.sizes.counters + q})] = n{q}_{r}" for q in range(len(counters))]

    def _watched(self, r: int, q: int, cursor: int, names: list[str]) -> list[str]:
        """What counter q does when the cursor passes the entry e."""
        label, low, high, source, sketch = (int(word) for word in self.plan.counters[q])
        if cursor not in (low, high):
            return []
        if sketch >= 0:
            column = int(self.plan.channels[source, k.C_VALUE])
            return [f"count_in(rows, row + U({sketch}), ring[e + U({column})], {1 if cursor == high else -1})"]
        sign = "+=" if cursor == high else "-="
        if label:
            return [f"n{q}_{r} {sign} max(ring[e + U({self.plan.labels[source, k.L_RING]})], 0)"]
        column = int(self.plan.distincts[source, k.D_RING])
        stands, before, after = (f"ring[e + U({column + word})]" for word in range(3))
        if cursor == high:  # it counts unless its value stands earlier in the window
            counts = f"({before} < {names[low] if low >= 0 else 0})"
        else:  # it counts unless its value stands again later in the window
            counts = f"(({after} < 0) | ({after} >= {names[high]}))"
        return [f"n{q}_{r} {sign} np.int64(({stands} != MISSING) & {counts})"]

    def read(self, r: int) -> list[str]:
        """Features, from spans first."""
        return [*self._spans(r), *(line for f in range(len(self.plan.features)) for line in self._feature(r, f))]

    def _spans(self, r: int) -> list[str]:
        """Count, sum and squares of every span: differences of the totals before its two ends."""
        found: list[str] = []
        entries = {0: f"newest{r}"}
        for g, line in enumerate(self.plan.spans):
            if line[k.G_ROLE] != r:
                continue
            low, high, source = int(line[k.G_LOW]), int(line[k.G_HIGH]), int(line[k.G_SOURCE])
            count, total, squares = (int(line[column]) for column in (k.G_COUNT, k.G_SUM, k.G_SQUARES))
            for cursor in (high, low):
                if cursor >= 0 and cursor not in entries and max(count, total, squares) >= 0:
                    entries[cursor] = f"before{cursor}_{r}"
                    found.append(f"{entries[cursor]} = U(ring{r} + ((c{cursor}_{r} - 1) & mask{r})) * W")
            found += self._span(g, r, entries, bool(line[k.G_CURRENT]), source)
        return found

    def _span(self, g: int, r: int, entries: dict[int, str], current: bool, source: int) -> list[str]:
        line = self.plan.spans[g]
        low, high = int(line[k.G_LOW]), int(line[k.G_HIGH])

        def between(column: int) -> str:
            older = f" - ring[{entries[low]} + U({column})]" if low >= 0 else ""
            return f"ring[{entries[high]} + U({column})]{older}"

        count = f"c{high}_{r}" + (f" - c{low}_{r}" if low >= 0 else "")
        if line[k.G_COUNT] >= 0:
            count = between(int(line[k.G_COUNT]))
        value = f"(v{source} if v{source} != MISSING else 0)" if current else "0"
        found = [f"count{g} = {count}" + (f" + np.int64(v{source} != MISSING)" if current else "")]
        if self.read_of[g] & {k.SUM, k.MEAN, k.STD}:
            found.append(f"sum{g} = {between(int(line[k.G_SUM]))}" + (f" + {value}" if current else ""))
        if k.STD in self.read_of[g]:
            column = int(line[k.G_SQUARES])
            newer = f"ring[{entries[high]} + U({column})], ring[{entries[high]} + U({column + 1})]"
            older = f"ring[{entries[low]} + U({column})], ring[{entries[low]} + U({column + 1})]" if low >= 0 else "0, 0"
            found.append(f"high{g}, low{g} = squares_between({newer}, {older}, {value})")
        return found

    def _feature(self, r: int, f: int) -> list[str]:
        line = self.plan.features[f]
        if line[k.F_ROLE] != r:
            return []
        op, g = int(line[k.F_OP]), int(line[k.F_SPAN])
        target = f"x[values + out + U({line[k.F_OUT] - self.base})]" if line[k.F_OUT] >= self.base else ""
        if not target:
            target = f"x[values + out - U({self.base - line[k.F_OUT]})]"
        counter = f"n{line[k.F_COUNTER]}_{r}"
        match op:
            case k.COUNT | k.SUM | k.MEAN | k.STD:
                return [f"{target} = {_from_span(op, g, f'scale{line[k.F_SOURCE]}')}"]
            case k.LABELS:
                return [f"{target} = np.float64({counter})"]
            case k.LABEL_RATE:
                return [f"{target} = np.float64({counter}) / np.float64(count{g}) if count{g} > 0 else 0.0"]
            case k.DISTINCT:
                return self._distinct_feature(r, line, target, counter)
            case k.MIN | k.MAX:
                return self._extreme_feature(r, line, target)
            case k.QUANTILE | k.MODE | k.SHARE_OF_TOP | k.ENTROPY:
                return self._scanned_feature(r, f, line, target)
            case k.APPROX_QUANTILE:
                c, sketch = line[k.F_SOURCE], line[k.F_COUNTER]
                current = f"e{c}" if line[k.F_CURRENT] else "MISSING"
                return [f"{target} = approx_quantile(rows, row + U({sketch}), {current}, rank{f})"]
            case k.SESSION_COUNT | k.SESSION_SUM | k.SESSION_DURATION:
                return self._session_feature(r, line, target)
        return self._remembered_feature(f, line, target)

    def _distinct_feature(self, r: int, line: np.ndarray, target: str, counter: str) -> list[str]:
        d = int(line[k.F_SOURCE])
        if not line[k.F_CURRENT]:
            return [f"{target} = np.float64({counter})"]
        low = f"c{line[k.F_LOW]}_{r}" if line[k.F_LOW] >= 0 else "0"
        return [f"{target} = np.float64({counter} + np.int64((d{d} != MISSING) & (last{d}_{r} < {low})))"]

    def last(self, r: int, d: int) -> str:
        """The last position of the event's distinct value before it."""
        line, args = self.plan.distincts[d], f"ring{r}, log2_{r}, first{r}, end{r}"
        owner = f"slot{r} * {len(self.plan.distincts)} + {d + 1}"
        found = f"last_position(S, W, U({line[k.D_RING]}), {bool(line[k.D_EVER])}, {owner}, d{d}, {args})"
        return f"last{d}_{r} = {found} if d{d} != MISSING else -1"

    def _extreme_feature(self, r: int, line: np.ndarray, target: str) -> list[str]:
        minimum, e, c = bool(line[k.F_OP] == k.MIN), int(line[k.F_COUNTER]), int(line[k.F_SOURCE])
        low = f"max(c{line[k.F_LOW]}_{r}, first{r})" if line[k.F_LOW] >= 0 else f"first{r}"
        column = int(self.plan.channels[c, k.C_VALUE])
        high = f"c{line[k.F_HIGH]}_{r}"
        found = [f"best = extreme(S, W, U({column}), {e}, {minimum}, ring{r}, log2_{r}, {low}, {high})"]
        if line[k.F_CURRENT]:
            found.append(f"best = better(best, e{c}, {minimum})")
        if line[k.F_LOW] < 0:
            found.append(f"best = better(best, rows[row + U({self._outlived(e)})], {minimum})")
        return [*found, f"bits[{target[2:-1]}] = bits_of(best) if best != MISSING else NAN"]

    def _scanned_feature(self, r: int, f: int, line: np.ndarray, target: str) -> list[str]:
        op, c, kept = int(line[k.F_OP]), int(line[k.F_SOURCE]), int(line[k.F_COUNTER])
        channel, last = self.plan.channels[c], f"rows[row + U({kept})]"
        window = f"ring{r}, mask{r}, first{r}, max(c{line[k.F_LOW]}_{r}, first{r}), c{line[k.F_HIGH]}_{r}"
        current = f"e{c}" if line[k.F_CURRENT] else "MISSING"
        args = f"{channel[k.C_VALUE]}, {channel[k.C_COUNT]}, {window}, {current}, most{f}, rank{f}, {last}"
        found = [f"number, word, {last} = scan({op}, ring, W, {args}, S.tally)"]
        if line[k.F_TEXT] == 1:
            return [*found, f"codes[texts + text{f}] = word if word != MISSING else 0"]
        return [*found, f"{target} = number"]

    def _session_feature(self, r: int, line: np.ndarray, target: str) -> list[str]:
        z, op = int(line[k.F_COUNTER]), int(line[k.F_OP])
        c, _, column = self.plan.sessions[z]
        channel, value = self.plan.channels[c], f"v{c}" if line[k.F_CURRENT] else "MISSING"
        args = f"ring, newest{r}, {column}, {channel[k.C_COUNT]}, {channel[k.C_SUM]}, gap{z}, time, {value}"
        results = {k.SESSION_COUNT: "np.float64(count)", k.SESSION_SUM: f"np.float64(total) / scale{c}"}
        return [f"count, total, seconds = session({args})", f"{target} = {results.get(op, 'seconds')}"]

    def _outlived(self, e: int) -> int:
        """The word of a row that holds the extreme of what left the ring."""
        return int(self.sizes.totals + self.sizes.total_words + e)

    def _remembered_feature(self, f: int, line: np.ndarray, target: str) -> list[str]:
        op, place = int(line[k.F_OP]), int(self.plan.items[line[k.F_SOURCE], k.I_ROW])
        last = op in (k.LAST, k.SINCE_LAST)
        word, at = (place + (k.LAST_VALUE if last else k.FIRST_WORD)), place + (k.LAST_TIME if last else k.FIRST_TIME)
        found = [f"at = rows[row + U({at})]", f"if at != MISSING and at > time - window{f}:"]
        if op in (k.SINCE_LAST, k.SINCE_FIRST):
            return [*found, f"    {target} = max(time - at, 0) / 1e6"]
        if line[k.F_TEXT] == 1:
            return [*found, f"    codes[texts + text{f}] = rows[row + U({word})]"]
        return [*found, f"    bits[{target[2:-1]}] = rows[row + U({word})]"]


def _from_span(op: int, g: int, scale: str) -> str:
    """A feature that is made of one span."""
    return {
        k.COUNT: f"np.float64(count{g})",
        k.SUM: f"np.float64(sum{g}) / {scale}",
        k.MEAN: f"np.float64(sum{g}) / (np.float64(count{g}) * {scale}) if count{g} > 0 else np.nan",
        k.STD: f"deviation(count{g}, sum{g}, high{g}, low{g}, {scale})",
    }[op]
