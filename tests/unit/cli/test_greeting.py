"""The demo says how its program is reached, where the shell does not find it."""

from penstock.cli.serving.demo import in_the_shell


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
