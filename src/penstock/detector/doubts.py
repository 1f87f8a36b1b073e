"""What works in a detector, but probably not as meant."""

import re
from typing import TYPE_CHECKING

from penstock.features import Aggregate, Derived
from penstock.features.entity import REMEMBERED

if TYPE_CHECKING:
    from penstock.detector.detector import Detector


class DetectorWarning(UserWarning):
    """Something in a detector works, but probably not as meant."""


def self_comparisons(detector: "Detector") -> list[str]:
    """Expressions that compare a field with an aggregate of it that contains the event itself."""
    found = []
    containing = {
        f.name: f
        for f in detector.features
        if isinstance(f, Aggregate) and f.current and not f.delay and f.field and f.kind not in (*REMEMBERED, "distinct")
    }
    expressions = [(f"feature {f.name!r}", f.sql) for f in detector.features if isinstance(f, Derived)]
    expressions += [(f"rule {rule.name!r}", rule.when) for rule in detector.rules]
    for place, sql in expressions:
        words = set(re.findall(r"[A-Za-z_]\w*", sql))
        for name in sorted(words & containing.keys()):
            feature = containing[name]
            if feature.field in words:
                found.append(
                    f"{place} compares {feature.field} with {name}, which contains the event itself; "
                    f"compare with {feature.entity.name}.{feature.kind}(..., current=False)"
                )
    return found
