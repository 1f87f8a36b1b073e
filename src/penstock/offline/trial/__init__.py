"""Champion and candidate over time on the same recorded events, for shadow models, rollouts and rules."""

from penstock.offline.trial.recorded import Question, blocks, compare, seen, tried
from penstock.offline.trial.result import Blocks, Compared, Part, Side

__all__ = ["Blocks", "Compared", "Part", "Question", "Side", "blocks", "compare", "seen", "tried"]
