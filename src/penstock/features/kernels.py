"""The clock by which idle keys are forgotten."""

import numba as nb


@nb.njit(cache=True)
def pace(times, keep, clock, stride, out):
    """The pace clock at each event: it follows the newest event time, by no more than `stride` at each event.

    times: int64, microseconds. keep: whether an event may enter state. clock: where it stood before (0: not begun).
    """
    for i in range(times.shape[0]):
        if keep[i]:
            clock = times[i] if clock == 0 else max(clock, min(times[i], clock + stride))
        out[i] = clock
