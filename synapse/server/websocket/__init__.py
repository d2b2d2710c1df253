"""WebSocket (RFC 6455) under the HTTP server: the handshake, and the connection behind it.

wsproto parses and writes the frames. It does no input or output, so the limits, the times and the back-pressure are
those of the server's other connections.
"""
