"""Commands around models: training, scoring, reports, versions, drift."""
