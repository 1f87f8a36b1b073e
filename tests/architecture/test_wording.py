"""Texts of commands, reports, alerts, the lab and answers use the terms of the field: worn phrases do not come back.

The console's texts have the same test: `console/src/words/wording.test.ts`.
"""

import ast
import re
from collections.abc import Iterator

import click
import pytest
from tests.pages import ROOT

from penstock.cli import commands

BETTER = {
    r"[Tt]hieves loose": "starts an attack",
    r"[Gg]ood ones? (stopped|hit)": "false positives",
    r"\bAs in force\b": "Reset to current",
    r"were no approvals": "were not approved",
    r"less strictly": "less strict",
    r"more presumed": "estimated",
    r"\bAt stake\b": "Expected loss",
    r"Waits since": "Waiting",
    r"Nobody holds it|nobody holds any": "Unassigned",
    r"do not belong together": "Incorrect username or password.",
    r"Nobody is asked who they are": "Authentication is off.",
    r"opens nothing here|open nothing any more": "Invalid, revoked or expired API key.",
    r"12 letters": "12 characters",
    r"book of rules": "rule set",
    r"it follows the ledger": "up to date with the ledger",
    r"Everything is well": "All systems operational",
    r"says what it cannot": "fails validation",
    r"It was taken in": "Accepted.",
    r"worth of block": "blocked value",
    r"many times the usual": "baseline",
    r"of .* were not sent": "similar alerts suppressed",
    r"What people are told at once": "Alert rules, channels and delivery log",
    r"Let the candidate stop": "Pause the rule",
    r"Compute a feature no more": "Archive a feature",
    r"Put a list away": "Archive an unused list",
    r"nobody objected": "no dispute",
    r"half and 99 of 100": "p50 and p99",
    r"A customer nobody knows": "New customer",
    r"`NODEFAULT`": "empty",
}
"""A phrase, and what to write in its place."""


def docstrings(tree: ast.AST) -> set[int]:
    """The places of docstrings and of bare strings, which are for people who read the code."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def texts() -> Iterator[tuple[str, str]]:
    """Every string of the package that is no docstring, and the data files with texts, each with its place."""
    for path in sorted((ROOT / "src/penstock").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        skipped = docstrings(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value
    for pattern in ("detectors/**/*.json", "alerts/**/*.toml"):
        for path in sorted((ROOT / "src/penstock").glob(pattern)):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def helps(command: click.Command, path: str = "penstock") -> Iterator[tuple[str, str]]:
    """The help of a command, of its options and of those below it."""
    yield path, f"{command.help or ''} {command.short_help or ''}"
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", None) or ""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from helps(below, f"{path} {name}")


def worn(found: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"{place}: {phrase!r}; write {better!r}"
        for place, text in found
        for phrase, better in BETTER.items()
        if re.search(phrase, text)
    ]


def test_strings_of_the_package_use_the_terms_of_the_field():
    assert worn(texts()) == []


def test_the_help_of_every_command_uses_the_terms_of_the_field():
    assert worn(helps(commands)) == []


@pytest.mark.parametrize("text", ["Good ones stopped", "2.72 % were no approvals"])
def test_a_worn_phrase_is_found_with_what_to_write(text):
    assert len(worn(iter([("here", text)]))) == 1
