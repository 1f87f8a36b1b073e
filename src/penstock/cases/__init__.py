"""Cases: decisions that people review, in queues, each held by one analyst at a time."""
