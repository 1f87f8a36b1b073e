"""Daily reports as they are answered."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ReportDay(msgspec.Struct, frozen=True):
    """A day that can be reported."""

    date: Annotated[str, Meta(description="The day, UTC.")]
    detector: Annotated[str, Meta(description="Whose decisions.")]
    decisions: Annotated[int, Meta(description="How many were decided.")]
    finished: Annotated[bool, Meta(description="The day is over.")]


class ReportList(msgspec.Struct, frozen=True):
    """Days on which something was decided, the newest first; the report of each is made when it is asked for."""

    reports: Annotated[list[ReportDay], Meta(description="Newest first.")]


FORMS = (ReportList,)
"""For the OpenAPI document."""
