"""The console's editor of conditions offers the functions that the service understands."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_functions_that_the_editor_offers_are_those_of_the_language():
    checked = subprocess.run(
        [sys.executable, "console/language.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
