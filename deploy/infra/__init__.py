"""Real servers on this machine, without containers: Kafka, Redis, PostgreSQL and an S3 server, each in a scratch folder.

    python -m deploy.infra start     what `make infra` runs: all that can be had, their addresses in .infra/servers.env
    python -m deploy.infra stop      what `make infra-stop` runs

Tests import the classes: `with Redis(folder) as server: server.url`. Only the standard library is used, Linux assumed.
"""

from deploy.infra.kafka import Kafka
from deploy.infra.postgres import Postgres
from deploy.infra.redis import Redis
from deploy.infra.s3 import S3
from deploy.infra.server import Server, ServerFailed

SERVERS: tuple[type[Server], ...] = (Kafka, Redis, Postgres, S3)

__all__ = ["S3", "SERVERS", "Kafka", "Postgres", "Redis", "Server", "ServerFailed"]
