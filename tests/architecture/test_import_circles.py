"""No circle of imports of more than two files: in the package, types included, and in the console."""

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE, CONSOLE = ROOT / "src", ROOT / "console" / "src"
IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([~.][^"']*)["']""")
ENDINGS = ("", ".ts", ".tsx", "/index.ts", "/index.tsx")


def circles(graph: Mapping[str, Iterable[str]]) -> list[set[str]]:
    """Sets of more than two nodes that reach one another."""

    def reached(start: str) -> set[str]:
        found, waiting = set[str](), [start]
        while waiting:
            fresh = set(graph[waiting.pop()]) - found
            found |= fresh
            waiting += fresh
        return found

    reach = {node: reached(node) for node in graph}
    mutual = {frozenset(other for other in reach[node] if node in reach[other]) for node in graph}
    return [set(each) for each in mutual if len(each) > 2]


def module_imports() -> dict[str, set[str]]:
    """Every module of the package, with those that it imports anywhere, in functions and for types too."""
    paths = {path: ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py")}
    names = {path: name.removesuffix(".__init__") for path, name in paths.items()}
    known = set(names.values())
    graph: dict[str, set[str]] = {name: set() for name in known}
    for path, name in names.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                meant = {f"{node.module}.{each.name}" for each in node.names}
                graph[name] |= {each if each in known else node.module for each in meant} & known
            elif isinstance(node, ast.Import):
                graph[name] |= {each.name for each in node.names} & known
        graph[name].discard(name)
    return graph


def console_imports() -> dict[str, set[str]]:
    """Every file of the console, with those that it imports, pages that are loaded later too."""
    files = {path for path in CONSOLE.rglob("*.ts*") if not path.name.endswith(".d.ts")}
    graph: dict[str, set[str]] = {path.relative_to(CONSOLE).as_posix(): set() for path in files}
    for path in files:
        for found in IMPORTED.findall(path.read_text()):
            place = CONSOLE / found.removeprefix("~/") if found.startswith("~") else path.parent / found
            there = (Path(f"{place}{ending}").resolve() for ending in ENDINGS)
            graph[path.relative_to(CONSOLE).as_posix()] |= {
                each.relative_to(CONSOLE).as_posix() for each in there if each in files and each != path
            }
    return graph


def test_a_circle_is_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [{"a", "b", "c"}]
    assert circles({"a": ["b"], "b": ["a"], "c": ["a"]}) == []


def test_modules_import_one_another_in_no_circle():
    graph = module_imports()
    assert len(graph) > 300
    assert circles(graph) == []


def test_files_of_the_console_import_one_another_in_no_circle():
    graph = console_imports()
    assert sum(map(len, graph.values())) > 300
    assert circles(graph) == []


def test_no_folder_holds_more_than_25_modules():
    sizes = {path: len(list(path.glob("*.py"))) for path in [SOURCE, *SOURCE.rglob("*/")]}
    assert {path.relative_to(ROOT).as_posix(): size for path, size in sizes.items() if size > 25} == {}
