"""Commands that look up and administer what is recorded: decisions, cases, labels, alerts, users, keys."""
