"""Compiled kernels are used again for as long as nothing that they were made from has changed."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.installation import printed_by

import penstock
from penstock.kept_code import made_from

PACKAGE = Path(penstock.__file__).parent
KERNELS = sorted(path for path in PACKAGE.rglob("*.py") if "import njit" in path.read_text("utf-8"))


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A package with a kernel that calls the kernel of another file, which reads a constant of a third."""
    package = tmp_path / "penstock"
    package.mkdir()
    for name in ("compilation", "jit", "kept_code"):
        (package / f"{name}.py").write_text((PACKAGE / f"{name}.py").read_text("utf-8"))
    (package / "__init__.py").write_text("from penstock.compilation import choose_cache\n\nchoose_cache()\n")
    for name, text in {
        "words": "FACTOR = 2\n",
        "callee": (
            "from penstock.jit import njit\nfrom penstock.words import FACTOR\n\n"
            "@njit\ndef product(x):\n    return FACTOR * x\n"
        ),
        "caller": (
            "from penstock import callee\nfrom penstock.jit import njit\n\nproduct = callee.product\n\n"
            "@njit\ndef result(x):\n    return product(x) + 1\n"
        ),
        "other": "UNUSED = 1\n",
    }.items():
        (package / f"{name}.py").write_text(text)
    return tmp_path


def result_of(installation: Path, **environment: str) -> tuple[int, bool]:
    """What the caller makes of 10, and whether it was compiled for that."""
    program = "from penstock.caller import result; print(result(10), sum(result.stats.cache_misses.values()))"
    home = {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}
    value, misses = printed_by(program, installation, **home | environment).split()
    return int(value), misses != "0"


@pytest.mark.parametrize("folder", ["", "chosen"])
@pytest.mark.parametrize(("file", "old", "new"), [("words", "FACTOR = 2", "FACTOR = 3"), ("callee", "FACTOR * x", "3 * x")])
def test_a_change_of_what_a_kernel_calls_or_reads_compiles_it_again(installation, folder, file, old, new):
    chosen = {"NUMBA_CACHE_DIR": str(installation / folder)} if folder else {}
    assert result_of(installation, **chosen) == (21, True)
    (installation / "penstock" / "other.py").write_text("UNUSED = 2\n")
    assert result_of(installation, **chosen) == (21, False)
    changed = installation / "penstock" / f"{file}.py"
    changed.write_text(changed.read_text("utf-8").replace(old, new))
    assert result_of(installation, **chosen) == (31, True)
    assert result_of(installation, **chosen) == (31, False)


def test_functions_outside_the_package_are_kept_as_numba_keeps_them(installation, tmp_path):
    (tmp_path / "mine.py").write_text("import numba\n\n@numba.njit(cache=True)\ndef twice(x):\n    return 2 * x\n")
    program = "import penstock.kept_code, mine; print(mine.twice(4), type(mine.twice._cache._impl.locator).__module__)"
    environment = os.environ | {"PYTHONPATH": str(installation)}
    done = subprocess.run(
        [sys.executable, "-B", "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["8", "numba.core.caching"], done.stderr


@pytest.mark.parametrize("kernel", KERNELS, ids=[str(path.relative_to(PACKAGE)) for path in KERNELS])
def test_what_a_kernel_is_made_from_is_what_its_file_imports(kernel):
    assert made_from(kernel) == imported(kernel)


def imported(source: Path) -> set[Path]:
    """The same, from the syntax tree."""
    found, new = set(), {source}
    while new:
        found |= new
        new = {path for each in new for path in imports(each)} - found
    return found


def imports(source: Path) -> set[Path]:
    names = set()
    for node in ast.parse(source.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{source} imports relative to itself"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = [PACKAGE.parent.joinpath(*name.split(".")) for name in names if name.split(".")[0] == "penstock"]
    return {place for path in modules for place in (path.with_suffix(".py"), path / "__init__.py") if place.is_file()}


def test_every_kernel_that_is_kept_is_declared_with_this_njit():
    numbas = re.compile(r"njit\(.*cache=True")
    others = [path for path in PACKAGE.rglob("*.py") if path.name != "jit.py"]
    assert [str(path) for path in others if numbas.search(path.read_text("utf-8"))] == []


def test_a_kernel_is_numba_s_own_after_its_first_call_in_its_module_and_for_those_who_imported_it_before(installation):
    program = (
        "import sys; from penstock import callee; early = callee.product; assert 'numba' not in sys.modules\n"
        "assert early(4) == 8; from numba.core.dispatcher import Dispatcher; assert isinstance(callee.product, Dispatcher)\n"
        "assert early(1.5) == 3.0 and len(callee.product.signatures) == len(early.signatures) == 2"
    )
    environment = os.environ | {"PYTHONPATH": str(installation)}
    subprocess.run([sys.executable, "-B", "-c", program], check=True, cwd=installation, env=environment)


def test_threads_that_call_a_kernel_first_at_once_share_its_code(installation):
    program = (
        "import threading; from penstock import caller; together = threading.Barrier(4); found = []\n"
        "def call(): together.wait(); found.append(caller.result(10))\n"
        "threads = [threading.Thread(target=call) for _ in range(4)]\n"
        "[each.start() for each in threads]; [each.join() for each in threads]\n"
        "assert found == [21] * 4 and len(caller.result.signatures) == 1"
    )
    environment = os.environ | {"PYTHONPATH": str(installation)}
    subprocess.run([sys.executable, "-B", "-c", program], check=True, cwd=installation, env=environment)
