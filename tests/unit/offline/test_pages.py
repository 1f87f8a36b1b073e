"""Pages of reports: every value is escaped, and a template that names an unknown value fails."""

from datetime import UTC, datetime

import jinja2
import pytest

from penstock.offline.drift.page import page
from penstock.offline.drift.result import DriftReport
from penstock.offline.pages import render


def test_names_and_notes_cannot_add_markup():
    report = DriftReport(
        detector="<script>alert(1)</script>",
        model_version=None,
        made_at=datetime(2026, 1, 5, tzinfo=UTC),
        reference="training",
        reference_days=("2026-01-01", "2026-01-04"),
        since=None,
        until=None,
        rows=0,
        judged=False,
        findings=[],
        estimate={"live": {}, "training": {}},
        truth=[],
        columns=[],
        notes=['"a" & <b>'],
    )
    shown = page(report)
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "&#34;a&#34; &amp; &lt;b&gt;" in shown


def test_a_template_without_its_values_fails():
    with pytest.raises(jinja2.UndefinedError, match="report"):
        render("drift.html")
