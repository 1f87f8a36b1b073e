"""Trials: challengers and rules that are tried on the events that others decide, and the control share of blocks."""
