"""Batch tools on recorded data: simulation, replay, training, evaluation, backtests, drift and daily reports."""
