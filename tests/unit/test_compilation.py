"""Where compiled kernels are kept when the package cannot be written, or there is no home."""

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from tests.unit.installation import printed_by

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
    program = "from penstock.codes import text_codes; import numba; print(text_codes(['a'])[0], numba.config.CACHE_DIR)"
    return printed_by(program, installation, **environment)


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
    assert not compilation.is_usable(open_to_all)
    open_to_all.chmod(0o700)
    assert compilation.is_usable(open_to_all)


def test_a_choice_of_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/chosen")
    compilation.choose_cache()
    assert os.environ["NUMBA_CACHE_DIR"] == "/chosen"


def shipped(installation: Path, **fits: str) -> None:
    """Lets the copy of the package say that it came with compiled kernels."""
    found = {"processor": compilation.PROCESSORS[platform.machine()], "numba": numba.__version__}
    (installation / "penstock" / "kernels.json").write_text(json.dumps(found | {"python": sys.implementation.cache_tag} | fits))


def environment_of(installation: Path, **environment: str) -> dict[str, str | None]:
    """What importing the package sets for numba."""
    program = (
        "import json, os, penstock; print(json.dumps([os.environ.get('NUMBA_CPU_NAME'), os.environ.get('NUMBA_CPU_FEATURES')]))"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env={"PYTHONPATH": str(installation), **environment},
        cwd=installation,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(("name", "features"), json.loads(done.stdout), strict=True))


def test_kernels_that_came_along_are_used_where_they_fit(installation, tmp_path):
    assert environment_of(installation, HOME=str(tmp_path)) == {"name": None, "features": None}
    shipped(installation)
    found = environment_of(installation, HOME=str(tmp_path))
    fits = compilation.has_v3()
    assert found == ({"name": compilation.PROCESSORS[platform.machine()], "features": ""} if fits else dict.fromkeys(found))
    shipped(installation, python="cpython-39")
    assert environment_of(installation, HOME=str(tmp_path)) == {"name": None, "features": None}


def test_a_processor_that_somebody_chose_stays(installation, tmp_path):
    shipped(installation)
    found = environment_of(installation, HOME=str(tmp_path), NUMBA_CPU_NAME="znver4")
    assert found == {"name": "znver4", "features": None}


def test_kernels_go_into_a_cache_folder_once(installation, tmp_path):
    shipped(installation)
    kernel = installation / "penstock" / "decision" / "__pycache__"
    kernel.unlink()
    kernel.mkdir()
    (kernel / "kernel.judge-1.py311.nbi").write_bytes(b"index")
    cache = tmp_path / "cache"
    environment_of(installation, HOME=str(tmp_path), NUMBA_CACHE_DIR=str(cache))
    [found] = cache.glob("decision_*/kernel.judge-1.py311.nbi")
    found.write_bytes(b"compiled since")
    environment_of(installation, HOME=str(tmp_path), NUMBA_CACHE_DIR=str(cache))
    assert found.read_bytes() == b"compiled since"


def test_a_mismatch_is_said_once(monkeypatch, caplog, tmp_path):
    kernels = tmp_path / "kernels.json"
    kernels.write_text(json.dumps({"processor": "x86-64-v3", "numba": numba.__version__, "python": "cpython-39"}))
    monkeypatch.setattr(compilation, "KERNELS", kernels)
    compilation.say_mismatch.cache_clear()
    compilation.shipped_for.cache_clear()
    try:
        compilation.say_mismatch()
        compilation.say_mismatch()
    finally:
        compilation.say_mismatch.cache_clear()
        compilation.shipped_for.cache_clear()
    [said] = [record.getMessage() for record in caplog.records]
    assert "cpython-39" in said
    assert "compiles them" in said


def test_where_numba_came_first_it_compiles_and_says_so(installation, tmp_path):
    shipped(installation)
    program = (
        "import numba, os\nfrom penstock import compilation\nprint(os.environ.get('NUMBA_CPU_NAME'), compilation.mismatch())"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env={"PYTHONPATH": str(installation), "HOME": str(tmp_path)},
        cwd=installation,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("None numba compiles for another processor")
