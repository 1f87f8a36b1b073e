"""Figures of recorded decisions over time, for the live page and the rules page."""
