"""Compiles generated functions in a separate process: `python -m penstock.features.compiled.build`.

It reads the sources as one line of JSON, and writes a line for each: its name in the store, and the error if it could not be
compiled. It exits when its standard input closes, so it never outlives the process that started it, not even a killed one.
"""

import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from penstock.features.compiled import store


def load_function(text: str) -> Callable[[int, int], int]:
    """The function `run` of a generated source, not compiled."""
    with TemporaryDirectory(prefix="penstock-") as folder:
        path = Path(folder) / f"plan_{store.name_of(text)}.py"
        path.write_text(text, "utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    function: Callable[[int, int], int] = module.run
    return function


def compile_source(text: str) -> None:
    """Compile a generated source for this processor, and keep it in the store.

    Raises:
        OSError: it cannot be kept.
    """
    import numba

    word = numba.types.int64
    made = numba.cfunc(word(word, word), _nrt=False, error_model="numpy")(load_function(text))
    store.keep(text, made.native_name, made._library.serialize_using_object_code()[2][0])


def main(*, gently: bool) -> None:
    """Compile what standard input names; stop when it ends.

    gently: take only what nobody else wants of the processors.
    """
    if gently:
        _give_way()
    sources = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    with store.alone():
        for text in sources:
            why = ""
            try:
                if not store.has(text):
                    compile_source(text)
            except Exception as error:  # noqa: BLE001 -- numba raises what it likes; the table-driven kernel goes on
                why = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            sys.stdout.write(json.dumps([store.name_of(text), why]) + "\n")
            sys.stdout.flush()


def _give_way() -> None:
    if hasattr(os, "nice"):
        os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main(gently="gently" in sys.argv)
