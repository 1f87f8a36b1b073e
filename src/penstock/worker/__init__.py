"""`penstock worker`: decides behind a broker, or stands by until it is needed.

worker   one process: an election, a seat for each shard       monitor  its health and metrics over HTTP
seat     one shard: follow, be elected, claim, own
"""

from penstock.worker.monitor import Monitor
from penstock.worker.worker import Worker

__all__ = ["Monitor", "Worker"]
