"""Stages of a training that stand beside fitting: early stopping, the refit, useless inputs, and figures by segment.

`penstock.offline.train` runs them in order.
"""
