"""The built-in detectors, one folder each with the same files. `event.py` declares the events, `features.py` the features,

`rules.py` the rules, `detector.py` combines them; `recorded.py` reads the public data set, `profile.py` configures the
simulator, `samples.json` holds sample events.

`event.py` says what is submitted, `features.py` what is computed, `rules.py` what is never accepted, `detector.py`
puts them together; `recorded.py` reads the public file the detector is for, `profile.py` tells the simulator about its
corner of the world, `samples.json` holds events to try.
"""
