"""How far back a feature looks: until events of that length were recorded, it still fills up and cannot be compared."""

import re
from collections.abc import Mapping

from penstock.clock import EVER_US
from penstock.detector import Detector
from penstock.features import Aggregate, Derived


def reaches(detector: Detector) -> Mapping[str, int]:
    """Of every field and feature how far back it looks, in microseconds: a field not at all, a window its length and delay,
    what remembers for ever `EVER_US`, what is derived as far as anything it reads.
    """
    found = dict.fromkeys(detector.plan.layout, 0)
    for feature in detector.features:
        if isinstance(feature, Aggregate):
            late = detector.label.delay_us if detector.label is not None and feature.kind.startswith("label") else 0
            found[feature.name] = min(feature.window_us + feature.delay_us + late, EVER_US)
    derived = [feature for feature in detector.features if isinstance(feature, Derived)]
    for _ in derived:  # one may read another, in any order
        for feature in derived:
            words = set(re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", feature.sql))) - {feature.name}
            found[feature.name] = max((found[word] for word in words & found.keys()), default=0)
    return found
