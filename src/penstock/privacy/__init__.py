"""Personal data: the vault that holds the values behind tokens, and the erasure of a person."""
