"""`GET /cases/workload`: what each analyst has to do and gets done, for managers."""

import asyncio
from typing import Annotated

import msgspec
from fastapi import Query

from penstock.cases.store import Cases
from penstock.cases.workload import AnalystLoad, QueueAges, queue_ages, workload
from penstock.identity.roles import Right
from penstock.service.http.route import Routes


class Workload(msgspec.Struct):
    """The workload of analysts over the last days, today included, and the ages of undecided cases by queue."""

    days: int
    analysts: list[AnalystLoad]
    queues: list[QueueAges]


route = Routes("cases", by_detector=True)


@route("GET", "/cases/workload", Right.READ)
async def get_workload(
    cases: Cases,
    /,
    days: Annotated[int, Query(ge=1, le=90, description="Verdicts of so many last days in UTC, today included.")] = 7,
) -> Workload:
    """Per analyst: open and overdue cases, decided ones per day, median time to a decision, agreement; ages of queues."""
    loads, ages = await asyncio.to_thread(lambda: (workload(cases, days), queue_ages(cases)))
    return Workload(days, loads, ages)
