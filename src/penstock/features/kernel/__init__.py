"""The feature kernel: exact sliding windows over keyed streams, in flat arrays.

One table per entity. A key owns one *row* of 64-bit words and one *ring* of its recent events, ordered by event time
(equal times in order of arrival). A ring entry holds **running totals** (count, sum, sum of squares as two words), not
values: the content of any window is the difference of two totals, exact because all arithmetic is modulo 2^64 (2^128
for squares) on fixed-point integers. A window is therefore nothing but two *cursors* into the ring, shared by all
aggregates that use the same bound; no aggregate is updated when an event leaves a window.

What totals cannot express is kept beside them:

* distinct values and label flags: a *counter* per window, adjusted by each entry a cursor passes. An entry knows the
  position of the previous and the next event with the same value, so every adjustment is O(1), in both directions;
* min and max: summaries of blocks of 16, 256, ... entries above the ring; a query touches at most 30 per level;
* first and last: fields of the row, which outlive the ring.

Cursors and counters are caches: moving them changes no answer. Reading (`_seek`, `_evaluate`) and writing (`_insert`)
are separate, so a dry run is a read without the write.

numba checks no bounds, so `apply` asks for room before it changes anything and stops at the event that lacks it; the
caller enlarges the arrays and calls again. Every function also runs as plain Python (NUMBA_DISABLE_JIT=1).
"""
