"""HTTP itself: what is read of a connection, and within which bounds."""
