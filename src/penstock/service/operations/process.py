"""The process on the health page: its version, memory and disk, and a day of history in steps of ten minutes."""

import os
import shutil
from collections import deque
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

import penstock
from penstock.clock import SECOND_US, iso

STEP_US = 600 * SECOND_US
"""The length of a step of the history."""

STEPS = 144
"""How many steps are kept: a day."""

_STATUSES = ("ok", "degraded", "failed")
"""From the best to the worst."""

_STATM = Path("/proc/self/statm")
_CGROUP = Path("/sys/fs/cgroup/memory.max")


class HealthStep(msgspec.Struct):
    """The worst that was seen within one step of the history."""

    at: Annotated[str, Meta(description="When it began.")]
    status: Annotated[str, Meta(description="The worst status: ok, degraded or failed.")]
    memory_bytes: Annotated[int | None, Meta(description="The most memory; null where the system does not tell.")]
    disk_free_bytes: Annotated[int, Meta(description="The least free disk.")]
    lag_s: Annotated[float, Meta(description="The longest lag of a part, in seconds.")]


class ProcessForm(msgspec.Struct):
    """The process that answers, and the machine or container in which it runs."""

    version: Annotated[str, Meta(description="Of the software.")]
    started_at: Annotated[str, Meta(description="When this process began to look at its parts.")]
    memory_bytes: Annotated[int | None, Meta(description="Resident memory; null where the system does not tell.")]
    memory_limit_bytes: Annotated[int, Meta(description="The memory of the container, or of the machine.")]
    disk_free_bytes: Annotated[int, Meta(description="Free where the data folder is.")]
    disk_bytes: Annotated[int, Meta(description="The size of that disk.")]
    history: Annotated[
        list[HealthStep], Meta(description="Steps of ten minutes, oldest first: the last day, or since the start.")
    ]


class ProcessHistory:
    """Measures the process, and keeps a bounded history of it; in memory, so that it begins with the process.

    data: the data folder.
    """

    def __init__(self, data: Path, now_us: int) -> None:
        self._data, self._started_us = data, now_us
        self._steps: deque[HealthStep] = deque(maxlen=STEPS)

    def measured(self, now_us: int, status: str, lag_s: float, starting: bool = False) -> ProcessForm:
        """The process as it is now, which counts for the current step. status, lag_s: the worst of its parts. starting: a
        detector is not ready; that is no failure within the first step.
        """
        disk = shutil.disk_usage(next(path for path in (self._data, *self._data.absolute().parents) if path.exists()))
        memory = memory_bytes()
        if not starting or now_us - self._started_us >= STEP_US:
            self._add(HealthStep(iso(now_us - now_us % STEP_US), status, memory, disk.free, round(lag_s, 3)))
        return ProcessForm(
            penstock.__version__, iso(self._started_us), memory, memory_limit(), disk.free, disk.total, list(self._steps)
        )

    def _add(self, new: HealthStep) -> None:
        if self._steps and self._steps[-1].at == new.at:
            self._steps[-1] = _worse(self._steps[-1], new)
        else:
            self._steps.append(new)


def _worse(one: HealthStep, other: HealthStep) -> HealthStep:
    return HealthStep(
        one.at,
        max(one.status, other.status, key=_STATUSES.index),
        max((each for each in (one.memory_bytes, other.memory_bytes) if each is not None), default=None),
        min(one.disk_free_bytes, other.disk_free_bytes),
        max(one.lag_s, other.lag_s),
    )


def memory_bytes() -> int | None:
    """Resident memory of this process; None where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def memory_limit() -> int:
    """The memory that this process may use: that of its container (cgroup v2), else that of the machine."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(machine, int(_CGROUP.read_text()))
    except (OSError, ValueError):
        return machine
