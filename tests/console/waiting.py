"""Waiting that ends as soon as what is awaited is there, and goes on for as long as a busy machine may need."""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import httpx
import pytest

PATIENCE_S = 60

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
expect.set_options(timeout=1000 * PATIENCE_S)

get = partial(httpx.get, timeout=PATIENCE_S)
post = partial(httpx.post, timeout=PATIENCE_S)
Client = partial(httpx.Client, timeout=PATIENCE_S)

T = TypeVar("T")


def until(ask: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What `ask` says, asked again until it says something."""
    end = time.monotonic() + patience_s
    while not (found := ask()):
        assert time.monotonic() < end, f"nothing came within {patience_s} s"
        time.sleep(0.1)
    return found
