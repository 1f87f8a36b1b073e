"""Real servers for tests: one of each kind per test process, on ports and in folders of its own, started when first asked for.

`kafka`, `redis`, `postgres` and `s3` are the running servers (`.url`, `.stop()`, `.start()`, `.kill()`, `.pause()`, ...: see
deploy/infra). Most tests want a clean place in one of them: `topic_prefix`, `redis_url`, `postgres_url`, `bucket_url`. Where a
server cannot be had the test is skipped with the reason; in CI, which installs them all, it fails.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from deploy.infra import S3, Kafka, Postgres, Redis, Server


def running(kind: type[Server]) -> Iterator[Server]:
    require(kind)
    with kind() as server:
        yield server


def require(*kinds: type[Server]) -> None:
    """Skip the test where a server cannot be had; in CI it fails."""
    for kind in kinds:
        lack = kind.missing()
        if lack and os.environ.get("CI") == "true":
            pytest.fail(f"{kind.name} cannot be started: {lack}", pytrace=False)
        if lack:
            pytest.skip(f"{kind.name} cannot be started: {lack}")


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """A broker; `kafka.url`, and for clients `kafka.address`."""
    yield from running(Kafka)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis server."""
    yield from running(Redis)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster."""
    yield from running(Postgres)


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """An S3 server."""
    yield from running(S3)


def fresh(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def topic_prefix(kafka: Kafka) -> str:
    """What the names of a test's topics and groups begin with."""
    kafka.start()  # whatever the test before did to it
    return fresh("t") + "."


@pytest.fixture
def redis_url(redis: Redis) -> str:
    """An empty Redis."""
    redis.start().flush()
    return redis.url


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database."""
    name = fresh("t").replace("-", "_")
    yield postgres.start().create(name)
    postgres.start().drop(name)


@pytest.fixture
def bucket_url(s3: S3, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket; the keys to it are in the environment."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3.start().create(fresh("t"))
