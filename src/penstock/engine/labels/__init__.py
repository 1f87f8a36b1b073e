"""Labels: who says what about a transaction, when it enters state, and what became of decisions."""
