"""Routes for analysts: cases, the context of a transaction, links between keys."""
