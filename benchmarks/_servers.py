"""Real servers for benchmarks: those of deploy/infra, which lies beside this folder and is no installed package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from deploy.infra import S3, Kafka, Postgres, Redis

__all__ = ["S3", "Kafka", "Postgres", "Redis"]
