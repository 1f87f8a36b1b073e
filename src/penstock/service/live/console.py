"""The console's files, built by `make console-build` into this package, and a placeholder page where they were not built."""

import functools
import gzip
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import Response

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}

_FOREVER = "public, max-age=31536000, immutable"
_SMALL = 1024
"""Bytes below which compression saves nothing."""

_NOT_BUILT = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Penstock</title></head>
<body style="font-family: system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem">
<h1>Penstock is running</h1>
<p>The service decides and answers; its console was not built into this installation. In a clone of the project,
<code>make console-build</code> builds it; then load this page again.</p>
<p><a href="docs">API</a> &middot; <a href="detectors">Detectors</a> &middot; <a href="metrics">Metrics</a></p>
</body>
</html>
"""


class Console:
    """All files of the console, read once, compressed for browsers that accept it.

    >>> Console({}).page(accept="").status_code
    200
    """

    def __init__(self, files: Mapping[str, bytes] | None = None) -> None:
        self._files = _built() if files is None else files
        self._packed: dict[str, bytes] = {}

    def page(self, accept: str) -> Response:
        """The page itself, never cached, since it names the current files."""
        return self.file("index.html", accept) or Response(_NOT_BUILT, media_type=TYPES["html"], headers=HEADERS)

    def file(self, name: str, accept: str) -> Response | None:
        """A file by its path under the console's folder, or None; `accept` is the request's Accept-Encoding."""
        content = self._files.get(name)
        if content is None:
            return None
        head = HEADERS | {"cache-control": _FOREVER if name.startswith("assets/") else "no-cache", "vary": "accept-encoding"}
        if "gzip" in accept and len(content) >= _SMALL:
            content, head = self._pack(name, content), head | {"content-encoding": "gzip"}
        return Response(content, media_type=TYPES[name.rsplit(".", 1)[1]], headers=head)

    def _pack(self, name: str, content: bytes) -> bytes:
        if name not in self._packed:
            self._packed[name] = gzip.compress(content)
        return self._packed[name]


@functools.cache
def _built() -> Mapping[str, bytes]:
    folder = resources.files("penstock.service") / "static" / "console"
    return dict(_read(folder, "")) if folder.is_dir() else {}


def _read(folder: Traversable, under: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _read(each, f"{under}{each.name}/")
        elif each.name.rsplit(".", 1)[-1] in TYPES:
            found.append((under + each.name, each.read_bytes()))
    return found
