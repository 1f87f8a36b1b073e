"""The events of a key, found in a long log: an index of the log, and features recomputed from those events alone."""
