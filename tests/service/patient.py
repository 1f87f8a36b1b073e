"""Requests as httpx makes them, but patient: it gives up after five seconds, and a first decision may have to be compiled."""

from functools import partial

import httpx

PATIENCE_S = 60.0

get = partial(httpx.get, timeout=PATIENCE_S)
post = partial(httpx.post, timeout=PATIENCE_S)
stream = partial(httpx.stream, timeout=PATIENCE_S)
Client = partial(httpx.Client, timeout=PATIENCE_S)
