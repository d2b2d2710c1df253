"""The web server's side of HTTP: protocol, limits, connections, rate limits."""
