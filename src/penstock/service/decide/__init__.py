"""The path of a request for a decision: `predict`, `batcher` (embedded engine) or `broker_client` (worker), `fallback`."""
