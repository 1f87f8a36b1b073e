"""Live pages: server-sent events, WebSocket, the console's files, simulated traffic and replay jobs."""
