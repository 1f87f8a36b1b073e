"""Progress without a terminal is told in lines, not too many."""

import pytest

from penstock.cli.options import ProgressLines, progress


def test_a_line_is_said_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    lines = ProgressLines("preparing", every_s=2.0, now_s=lambda: now_s)
    for step in range(101):
        now_s = step / 10
        lines.advance(step / 100)
    assert capsys.readouterr().err.splitlines() == [f"preparing: {percent} %" for percent in (20, 40, 60, 80, 100)]


def test_the_same_share_is_said_once_and_quick_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = 0.0
    lines = ProgressLines("preparing", every_s=2.0, now_s=lambda: now_s)
    for share in (0.1, 0.5):
        lines.advance(share)
    for now_s in (3.0, 6.0, 9.0):
        lines.advance(0.5)
    assert capsys.readouterr().err == "preparing: 50 %\n"


def test_a_pipe_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("preparing") as advance:
        advance(0.5)
    assert capsys.readouterr().err == ""
