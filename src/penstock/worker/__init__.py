"""`penstock worker`: decides events from a broker, or stands by.

worker   one process: election, and a runner for each shard     monitor           health and metrics over HTTP
shard    one shard: follow, be elected, claim, own              feature_backfill  run-time features
"""

from penstock.worker.monitor import Monitor
from penstock.worker.worker import Worker

__all__ = ["Monitor", "Worker"]
