"""Writes console/src/screens/rules/language.json: the functions that the editor of conditions offers; --check only compares.

They are the ones that the service knows, so the editor never offers what would be refused.
"""

import json
import sys
from pathlib import Path

from penstock.expressions.functions import FUNCTIONS, HIDDEN
from penstock.expressions.tree import ATOM, Constant, Function

KEPT = Path(__file__).parent / "src" / "screens" / "rules" / "language.json"


def main() -> int:
    """0 where what is kept is right, or was written."""
    made = json.dumps(functions(), indent=2, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        KEPT.write_text(made)
        return 0
    if KEPT.exists() and KEPT.read_text() == made:
        return 0
    sys.stderr.write(f"{KEPT.name} is not what the service understands: run `python console/language.py`\n")
    return 1


def functions() -> list[dict[str, str]]:
    """Name, arguments, result and meaning of everything that is written with parentheses."""
    written = [forms[0] for name, forms in FUNCTIONS.items() if forms[0].precedence == ATOM and name not in HIDDEN]
    return [{"name": each.name, "takes": _takes(each), "gives": each.gives.value, "meaning": each.meaning} for each in written]


def _takes(form: Function) -> str:
    least = len(form.takes) - form.optional
    said = [_parameter(each) if place < least else f"[{_parameter(each)}]" for place, each in enumerate(form.takes)]
    return ", ".join([*said, *(["[zone]"] if form.clock else []), *(["..."] if form.more else [])])


def _parameter(taken: object) -> str:
    return taken.what if isinstance(taken, Constant) else str(getattr(taken, "value", taken))


if __name__ == "__main__":
    sys.exit(main())
