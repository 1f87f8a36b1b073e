"""Adapters to external technologies, one module each; only `penstock.wiring` chooses among them."""
