"""A change of rules passes few functions on its way from the request to the engine."""

import threading
from types import CodeType, FrameType

import pytest
from tests.service.test_rules_over_http import done, serve
from tests.waiting import wait_until

import penstock
from penstock.engine import Engine

__all__ = ["serve"]

ROOT = penstock.__file__.removesuffix("__init__.py")
LIFE_CYCLE = ("service/changes/", "governance/", "wiring/", "audit.py")
RULES = "/detectors/mine/rules"


class Way:
    """The functions that are entered in any thread while it is watched, until the engine gets its rules."""

    def __init__(self) -> None:
        self.watched = False
        self.entered: dict[CodeType, None] = {}

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and self.watched and frame.f_code.co_filename.startswith(ROOT):
            self.entered.setdefault(frame.f_code)
            self.watched = frame.f_code is not Engine.use_rules.__code__

    @property
    def functions(self) -> list[str]:
        """Of the life cycle, without comprehensions and the loop that polls: their file and name."""
        names = [f"{code.co_filename.removeprefix(ROOT)}:{code.co_qualname}" for code in self.entered]
        return [name for name in names if name.startswith(LIFE_CYCLE) and not name.endswith((">", ".run"))]


@pytest.fixture
def way():
    found, before = Way(), threading.getprofile()
    threading.setprofile(found.profile)
    yield found
    threading.setprofile(before)


def test_a_promotion_passes_few_functions_from_the_request_to_the_engine(way, serve):
    client = serve()
    wait_until(lambda: client.get("/ready").status_code == 200)
    done(client.post(RULES, json={"name": "large", "when": "amount > 3"}), 201)
    way.entered.clear()
    way.watched = True
    done(client.post(f"{RULES}/large/promote", json={"version": 1}))
    assert not way.watched, "the engine did not get its rules"
    files = {name.partition(":")[0] for name in way.functions}
    assert len(way.functions) <= 36, "\n".join(way.functions)
    assert len(files) <= 9, files
