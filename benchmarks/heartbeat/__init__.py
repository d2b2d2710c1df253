"""How long one request delays all others: the longest gap of a heartbeat on the server's event loop.

- `server`    the web server with a heartbeat of 1 ms, which writes its longest gaps to a file
- `requests`  the largest and slowest kinds of requests
- `__main__`  `make heartbeat`: sends each kind, and prints its gaps
"""
