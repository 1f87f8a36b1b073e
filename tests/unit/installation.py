"""A program run with an installation of the package that a test has laid out."""

import os
import subprocess
import sys
from pathlib import Path


def printed_by(program: str, installation: Path, **environment: str) -> str:
    """The output of a Python program that imports the package from `installation`, with only this environment."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-B", "-c", program],
        env=kept | {"PYTHONPATH": str(installation)} | environment,
        cwd=installation,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
