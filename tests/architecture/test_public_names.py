"""The public names: a sorted list, each with a docstring, each in the reference."""

import inspect
from pathlib import Path

import penstock

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"


def test_exported_names_are_sorted_and_there():
    assert list(penstock.__all__) == sorted(penstock.__all__)
    assert [name for name in penstock.__all__ if not hasattr(penstock, name)] == []


def test_every_exported_name_explains_itself():
    assert [name for name in penstock.__all__ if name != "__version__" and not inspect.getdoc(getattr(penstock, name))] == []


def test_every_exported_name_is_in_the_reference():
    text = REFERENCE.read_text(encoding="utf-8")
    assert [name for name in penstock.__all__ if f"`{name}" not in text] == []
