"""The detectors that come with the package, one folder each with the same files.

`event.py` says what is submitted, `features.py` what is computed, `rules.py` what is never accepted, `detector.py`
puts them together; `recorded.py` reads the public file the detector is for, `profile.py` tells the simulator about its
corner of the world, `samples.json` holds events to try.
"""
