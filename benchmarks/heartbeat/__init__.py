"""How long one request holds up all others: the longest gap of a heartbeat on the server's event loop.

- `server`    the web server with a heartbeat of 1 ms, whose longest gaps lie in a file
- `requests`  what is sent: the largest and slowest requests there are
- `__main__`  `make heartbeat`: sends each kind, and prints its gaps
"""
