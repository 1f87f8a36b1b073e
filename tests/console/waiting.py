"""Waiting that ends as soon as what is awaited is there, and goes on for as long as a busy machine may need."""

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
