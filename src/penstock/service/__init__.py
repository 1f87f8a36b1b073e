"""The HTTP service: serves detectors, with micro-batching behind every request."""

from penstock.service.app import Service, ServiceParts, create_app
from penstock.service.decide.batcher import MicroBatcher
from penstock.service.decide.port import Serving
from penstock.service.live.replay_jobs import Replay, Replays
from penstock.service.live.traffic import Traffic
from penstock.service.server import bind, serve

__all__ = [
    "MicroBatcher",
    "Replay",
    "Replays",
    "Service",
    "ServiceParts",
    "Serving",
    "Traffic",
    "bind",
    "create_app",
    "serve",
]
