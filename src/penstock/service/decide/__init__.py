"""The path of a decision request: `predict`, `batcher` (embedded engine) or `broker_client` (worker), `fallback`."""
