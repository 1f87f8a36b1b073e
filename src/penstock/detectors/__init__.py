"""The built-in detectors, one folder each with the same files.

The package itself declares event, rules and detector; `features.py` declares the features; `recorded.py` reads the public data
set that the detector is for; `profile.py` configures the simulator, which alone loads it; `samples.json` holds sample events.
"""
