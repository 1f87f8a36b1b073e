"""Submission of verdicts as labels."""

import asyncio
import logging

import msgspec

from penstock.cases.case import SOURCE, PendingVerdict
from penstock.cases.store import Cases
from penstock.errors import PenstockError
from penstock.messages import Refusal
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector

log = logging.getLogger("penstock.service")

LOOK_EVERY_S = 5.0
"""Seconds between polls for verdicts given elsewhere (by a command), or whose label could not be submitted."""


class VerdictSubmission:
    """Submits verdicts as labels. A verdict is stored first and submitted afterwards; pending ones are retried.

    A label becomes known when it is submitted, like one posted without a time. Submitting it twice changes nothing.
    """

    def __init__(self, cases: Cases, router: DetectorRouter) -> None:
        self._cases, self._router = cases, router
        self._lock = asyncio.Lock()

    async def run(self) -> None:
        """Submit pending verdicts until the task is cancelled."""
        while True:
            await self.submit()
            await asyncio.sleep(LOOK_EVERY_S)

    async def submit(self) -> None:
        """Submit pending verdicts to every ready detector; failures are retried later."""
        async with self._lock:
            for served in self._router.values():
                if served.not_ready is None:
                    try:
                        await self._submit_for(served)
                    except PenstockError as error:
                        log.warning("%s: verdicts are not labels yet: %s", served.name, error)

    async def _submit_for(self, served: ServedDetector) -> None:
        while waiting := await asyncio.to_thread(self._cases.pending_verdicts, served.name):
            answers = await served.label(msgspec.json.encode([_label(each) for each in waiting]))
            for each, answer in zip(waiting, answers, strict=True):
                if isinstance(answer, Refusal):
                    log.error("the verdict on case %s is no label: %s", each.case_id, answer.detail)
            await asyncio.to_thread(self._cases.mark_submitted, waiting)


def _label(verdict: PendingVerdict) -> dict[str, object]:
    return {"transaction_id": verdict.transaction_id, "fraud": verdict.fraud, "kind": verdict.kind, "source": SOURCE}
