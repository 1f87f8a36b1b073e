"""Case management: decisions that people review, in queues, each locked by one analyst at a time."""
