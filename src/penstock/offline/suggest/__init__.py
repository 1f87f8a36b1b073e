"""Search for features: candidates over recorded events, screened on later time, as declarations that one can read.

`suggest` is the whole. Its stages, in order: `fields` (what may be read, and what is refused because it is known too late),
`candidates` (one table of aggregates, one of comparisons), `blocks` (their values, by the ordinary replay), `screening` (gain
on later time, against noise), `thinning` (near-equals, and features that add nothing), `source` (the result as code).
"""

from penstock.offline.suggest.source import entity_lines, feature_lines, figures, source, worth
from penstock.offline.suggest.suggest import SearchLimits, Suggestions, suggest

__all__ = ["SearchLimits", "Suggestions", "entity_lines", "feature_lines", "figures", "source", "suggest", "worth"]
