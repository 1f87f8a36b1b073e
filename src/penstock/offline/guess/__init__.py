"""Guesses about a recorded file: which columns are the id, the time, the amount, the keys, the label, and which are late.

`guess` looks at a file, and `source` writes the guesses as the Python file of a detector, each with what was seen.
"""

from penstock.offline.guess.features import limits_of
from penstock.offline.guess.guess import guess
from penstock.offline.guess.guessed import Guess, Guessed
from penstock.offline.guess.source import SuggestedFeatures, source

__all__ = ["Guess", "Guessed", "SuggestedFeatures", "guess", "limits_of", "source"]
