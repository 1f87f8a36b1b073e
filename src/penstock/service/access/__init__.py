"""Who may use the service: API keys, sessions, single sign-on, and the right that each route needs."""
