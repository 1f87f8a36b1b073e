"""Commands that send or replay events: simulated and recorded ones, load tests, history."""
