"""Where compiled kernels are kept when the package cannot be written, or there is no home."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import penstock
from penstock import compilation
from penstock.codes import text_code


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A copy of the package in which nothing can be kept beside the source, not even by an administrator."""
    package = tmp_path / "site" / "penstock"
    shutil.copytree(Path(penstock.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "*.nb?", "static"))
    for folder in (package, *(found for found in package.rglob("*") if found.is_dir())):
        (folder / "__pycache__").write_text("a file, so that no folder of this name can be made")
    return package.parent


def codes_of_a(installation: Path, **environment: str) -> str:
    program = "from penstock.codes import text_code; import numba; print(text_code('a'), numba.config.CACHE_DIR)"
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    found = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env=kept | {"PYTHONPATH": str(installation)} | environment,
        cwd=installation,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_read_only_installation_without_a_home_compiles_and_keeps_what_it_compiled(installation, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    code, folder = codes_of_a(installation, HOME="/dev/null", TMPDIR=str(scratch)).split()
    assert int(code) == text_code("a")
    assert Path(folder).is_relative_to(scratch)
    assert list(Path(folder).rglob("*.nbc"))


def test_the_users_cache_folder_is_preferred(installation, tmp_path):
    assert codes_of_a(installation, XDG_CACHE_HOME=str(tmp_path / "cache")).split()[1] == str(tmp_path / "cache" / "penstock")


def test_a_folder_that_others_can_write_is_not_trusted_with_code(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    assert not compilation._usable(open_to_all)
    open_to_all.chmod(0o700)
    assert compilation._usable(open_to_all)


def test_a_choice_of_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/chosen")
    compilation.choose_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "/chosen"
