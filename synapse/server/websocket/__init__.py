"""WebSocket (RFC 6455) in the HTTP server: the handshake, and the connection after it.

wsproto parses and encodes the frames. It does no input or output, so the limits, timeouts and back-pressure are those
of the server's other connections.
"""
