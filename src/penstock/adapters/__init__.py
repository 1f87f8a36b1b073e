"""One module per technology that Penstock talks to; only `penstock.wiring` chooses among them."""
