"""The demo says what its first start does, and how its program is reached, where the shell does not find it."""

from pathlib import Path

from penstock.adapters.world import HISTORY
from penstock.cli.serving.demo import command, in_the_shell


def test_help_and_guide_say_how_long_the_history_is_that_the_first_start_decides():
    page = (Path(__file__).parents[3] / "docs/guide/demo.md").read_text()
    assert f"first start, which decides {HISTORY.days} days" in " ".join(command.help.split())
    assert f"The first start decides {HISTORY.days} days" in page


def test_a_program_off_the_path_is_named_in_full(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "penstock"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert in_the_shell(program) == f"\nYour shell does not find penstock yet: write {program} instead.\n"
    (program.parent / "activate").touch()
    assert f"source {program.parent}/activate, or write {program} instead" in in_the_shell(program)


def test_nothing_is_said_where_the_shell_finds_it(tmp_path, monkeypatch):
    program = tmp_path / "penstock"
    assert in_the_shell(program) == ""
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert in_the_shell(program) == ""
