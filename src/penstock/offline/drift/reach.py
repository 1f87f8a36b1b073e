"""The look-back of a feature: until events of that length were recorded, the feature fills up and cannot be compared."""

import re
from collections.abc import Iterable, Mapping

from penstock.clock import EVER_US
from penstock.detector import Detector
from penstock.features import Aggregate, Derived


def reaches(detector: Detector) -> Mapping[str, int]:
    """Of every field and feature how far back it looks, in microseconds: a field not at all, a window its length and delay,
    what remembers for ever `EVER_US`, what is derived as far as anything it reads.
    """
    late_us = detector.label.delay_us if detector.label is not None else 0
    found = {
        feature.name: min(feature.window_us + feature.delay_us + (late_us if _of_labels(feature) else 0), EVER_US)
        for feature in detector.features
        if isinstance(feature, Aggregate)
    }
    return _derived(detector, dict.fromkeys(detector.plan.layout, 0) | found)


def over_labels(detector: Detector) -> frozenset[str]:
    """The features computed from labels, which jump whenever an attack becomes known."""
    given = {feature.name: 1 for feature in detector.features if isinstance(feature, Aggregate) and _of_labels(feature)}
    found = _derived(detector, dict.fromkeys(detector.plan.layout, 0) | given)
    return frozenset(name for name, of_labels in found.items() if of_labels)


def _of_labels(feature: Aggregate) -> bool:
    return feature.kind.startswith("label")


def _derived(detector: Detector, found: dict[str, int]) -> dict[str, int]:
    """The same with derived features, each the maximum over its inputs."""
    derived = [feature for feature in detector.features if isinstance(feature, Derived)]
    for _ in derived:  # one may read another, in any order
        for feature in derived:
            found[feature.name] = max((found[word] for word in _words(feature.sql) if word in found), default=0)
    return found


def _words(sql: str) -> Iterable[str]:
    return re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", sql))
