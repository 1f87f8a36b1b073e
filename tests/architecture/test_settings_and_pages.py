"""What is generated from the source is up to date, and every setting does something."""

import importlib.util
import re
from pathlib import Path

import pytest

import penstock
from penstock.config import describe

ROOT = Path(__file__).parents[2]
SOURCES = {path: path.read_text(encoding="utf-8") for path in Path(penstock.__file__).parent.rglob("*.py")}


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date():
    stale = [
        str(path.relative_to(ROOT))
        for path, text in generator().pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    assert stale == [], "run `make docs`"


@pytest.mark.parametrize("name", [setting.name for setting in describe()])
def test_every_setting_is_read_somewhere(name):
    readers = [
        path.name
        for path, text in SOURCES.items()
        if path.name != "config.py" and re.search(rf"(settings|chosen)\.{name}\b", text)
    ]
    if name == "models":
        readers = [path.name for path, text in SOURCES.items() if "settings.models_folder" in text]
    assert readers, f"nothing reads settings.{name}"
