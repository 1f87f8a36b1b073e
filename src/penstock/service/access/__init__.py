"""Authentication and authorization: API keys, sessions, single sign-on, and the right that each route needs."""
