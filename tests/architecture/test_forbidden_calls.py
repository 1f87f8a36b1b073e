"""What no module of the package does: print, pickle, run text as code, read the machine's clock on the side."""

import ast
import functools
from pathlib import Path

import penstock

PACKAGE = Path(penstock.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))

CLOCKS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
RUNS_TEXT = {"exec", "eval", "compile", "__import__"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


@functools.cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse((PACKAGE / path).read_text(encoding="utf-8"))))


@functools.cache
def calls(path: Path) -> list[tuple[int, str]]:
    """Line and dotted name of every call."""
    return [(node.lineno, ast.unparse(node.func)) for node in nodes(path) if isinstance(node, ast.Call)]


def imports(path: Path) -> set[str]:
    named = {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}
    return named | {node.module for node in nodes(path) if isinstance(node, ast.ImportFrom) and node.module}


def found(names: set[str], paths: list[Path]) -> list[str]:
    return [f"{path}:{line} {name}" for path in paths for line, name in calls(path) if name in names]


def test_only_the_command_line_prints():
    assert found({"print"}, MODULES) == []


def test_text_is_never_run_as_code():
    assert found(RUNS_TEXT, MODULES) == []


def test_the_machines_clock_is_read_in_one_place():
    assert found(CLOCKS, [path for path in MODULES if path != Path("clock.py")]) == []


def test_nothing_is_pickled():
    assert [str(path) for path in MODULES if {name.split(".")[0] for name in imports(path)} & PICKLES] == []


def test_no_module_is_a_drawer_for_everything():
    drawers = {"utils", "util", "common", "core", "helpers", "helper", "base", "misc"}
    assert [str(path) for path in MODULES if path.stem in drawers or drawers & set(path.parts)] == []


def test_no_module_changes_where_python_looks_for_modules():
    text = {path: (PACKAGE / path).read_text(encoding="utf-8") for path in MODULES}
    assert [str(path) for path, source in text.items() if "sys.path" in source] == []


def test_no_cookie_is_read_by_the_standard_library_which_takes_quadratic_time():
    found = [str(path) for path in MODULES if "http.cookies" in imports(path)]
    reads = [
        f"{path}:{node.lineno}"
        for path in MODULES
        for node in nodes(path)
        if isinstance(node, ast.Attribute) and node.attr == "cookies"
    ]
    assert found + reads == [], "use penstock.service.access.authorize.cookie_named"


SCALARS = {"ingest/form.py", "ingest/refusals.py"}  # types of an event's fields, which hold no Structs
HARMLESS = {"str", "int", "float", "bool", "bytes", "dict", "list", "tuple", "set", "object", "Any", "msgspec", "Raw", "None"}


def test_a_type_is_prepared_for_threads_before_anything_is_decoded_into_it():
    """See `penstock.decoding`: two threads that first decode into a type at once crash the process."""
    bare = [
        f"{path}:{kind.lineno} {ast.unparse(kind)}"
        for path in MODULES
        if path.as_posix() not in {*SCALARS, "decoding.py"}
        for kind in filter(None, map(decoded_into, nodes(path)))
        if not names_in(kind) <= HARMLESS and not ast.unparse(kind).startswith("prepared(")
    ]
    assert bare == []


def decoded_into(node: ast.AST) -> ast.expr | None:
    """The type that a call decodes into; None where it names none."""
    if not isinstance(node, ast.Call):
        return None
    name = ast.unparse(node.func)
    place = {"Decoder": 0, "convert": 1}.get(name.rpartition(".")[2]) if name.startswith("msgspec.") else None
    if not name.startswith("msgspec.") or not name.endswith((".decode", ".Decoder", ".convert")):
        return None
    if place is not None and len(node.args) > place:
        return node.args[place]
    return next((keyword.value for keyword in node.keywords if keyword.arg == "type"), None)


def names_in(kind: ast.expr) -> set[str]:
    return {getattr(node, "id", "") or getattr(node, "attr", "") for node in ast.walk(kind)} - {""}
