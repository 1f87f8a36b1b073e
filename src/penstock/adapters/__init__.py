"""One module per technology that Penstock talks to; only `penstock.assemble` chooses among them."""
