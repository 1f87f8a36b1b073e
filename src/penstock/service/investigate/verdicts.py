"""Submission of verdicts as labels: each exactly once, also after a crash."""

import asyncio
import logging

import msgspec

from penstock.cases.case import SOURCE, Untold
from penstock.cases.store import Cases
from penstock.errors import PenstockError
from penstock.messages import Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import Serving

log = logging.getLogger("penstock.service")

LOOK_EVERY_S = 5.0
"""Seconds between polls for verdicts given elsewhere (by a command), or whose label could not be submitted."""


class Verdicts:
    """Submits verdicts as labels. A verdict is stored first and submitted afterwards; pending ones are retried.

    A label becomes known when it is submitted, like one posted without a time. Submitting it twice changes nothing.
    """

    def __init__(self, cases: Cases, desks: DetectorRouter) -> None:
        self._cases, self._desks = cases, desks
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Submit pending verdicts until the task is cancelled."""
        while True:
            await self.tell()
            await asyncio.sleep(LOOK_EVERY_S)

    async def tell(self) -> None:
        """Submit pending verdicts to every ready detector; failures are retried later."""
        async with self._lock:
            for desk in self._desks.values():
                if desk.not_ready is None:
                    try:
                        await self._tell(desk)
                    except PenstockError as error:
                        log.warning("%s: verdicts are not labels yet: %s", desk.name, error)

    async def _tell(self, desk: Serving) -> None:
        while waiting := await asyncio.to_thread(self._cases.untold, desk.name):
            answers = await desk.label(msgspec.json.encode([_label(each) for each in waiting]))
            for each, answer in zip(waiting, answers, strict=True):
                if isinstance(answer, Refusal):
                    log.error("the verdict on case %s is no label: %s", each.case_id, answer.detail)
            await asyncio.to_thread(self._cases.told, waiting)


def _label(verdict: Untold) -> dict[str, object]:
    return {"transaction_id": verdict.transaction_id, "fraud": verdict.fraud, "kind": verdict.kind, "source": SOURCE}
