"""Events to send: simulated and recorded ones, to a service, a broker or a file."""
