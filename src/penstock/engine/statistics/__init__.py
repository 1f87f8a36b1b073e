"""Statistics of what an engine decides: totals, time series, distributions, trials; all in bounded memory."""
