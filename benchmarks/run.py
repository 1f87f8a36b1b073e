"""Every benchmark, one after the other: a table, and with full runs benchmarks/results.json.

python benchmarks/run.py [--quick] [NAME...]
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _report import Row, machine, table

HERE = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks there are."""
    return sorted(path.stem for path in HERE.glob("*.py") if not path.stem.startswith("_") and path.stem != "run")


def measured(name: str, quick: bool) -> list[dict[str, Any]]:
    """The rows of one benchmark, run in a process of its own."""
    began = time.perf_counter()
    command = [sys.executable, str(HERE / f"{name}.py"), "--json", *(["--quick"] if quick else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    sys.stderr.write(
        f"{name}: {time.perf_counter() - began:.0f} s" + (f", exit code {done.returncode}\n" if done.returncode else "\n")
    )
    if done.returncode:
        raise SystemExit(f"{name} failed; run it alone: python benchmarks/{name}.py")
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter runs; nothing is written")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these: {', '.join(names())}")
    options = parser.parse_args()
    results = {name: measured(name, options.quick) for name in options.names or names()}
    sys.stdout.write(table([Row(**row) for rows in results.values() for row in rows]) + "\n")
    if not options.quick and not options.names:
        (HERE / "results.json").write_text(json.dumps({"machine": machine(), "benchmarks": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
