"""Reports from the settings: daily reports, drift, and backtests of conditions and candidates."""
