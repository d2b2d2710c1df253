"""Users' handlers, run in child processes.

A handler is code of users: it may hang, hold Python's interpreter lock, leak memory, or end its process. So that none
of that affects other bridges, each handler sink has its own child process, which is ended and restarted when necessary.

- `process`  the parent's side: start the child, send it events, watch it, end it
- `child`    the child's side
"""
