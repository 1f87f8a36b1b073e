"""Response schemas of daily reports."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ReportDay(msgspec.Struct, frozen=True):
    """A day with a report."""

    date: Annotated[str, Meta(description="The day, UTC.")]
    detector: Annotated[str, Meta(description="Whose decisions.")]
    decisions: Annotated[int, Meta(description="How many were decided.")]
    finished: Annotated[bool, Meta(description="The day is over.")]


class ReportList(msgspec.Struct, frozen=True):
    """Days with decisions, newest first; each report is computed on request."""

    reports: Annotated[list[ReportDay], Meta(description="Newest first.")]


FORMS = (ReportList,)
"""Schemas for the OpenAPI document."""
