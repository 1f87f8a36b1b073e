"""The HTTP service: serves detectors, with micro-batching behind every request."""

from penstock.service.app import Service, ServiceParts, create_app
from penstock.service.decide.batcher import MicroBatcher
from penstock.service.decide.port import ServedDetector
from penstock.service.live.preparation import Preparation
from penstock.service.live.replay_jobs import ReplaySource, ReplaySources
from penstock.service.live.traffic import TrafficSender
from penstock.service.server import bind, serve, url_of

__all__ = [
    "MicroBatcher",
    "Preparation",
    "ReplaySource",
    "ReplaySources",
    "ServedDetector",
    "Service",
    "ServiceParts",
    "TrafficSender",
    "bind",
    "create_app",
    "serve",
    "url_of",
]
