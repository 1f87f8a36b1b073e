"""HTTP basics: request bodies, bounds, pagination, problem documents, OpenAPI."""
