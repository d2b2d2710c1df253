"""Users' handlers, run in processes of their own.

A handler is somebody else's code: it may hang, hold Python's interpreter lock, leak, or end its process. None of that
may touch other bridges, so each handler sink has one child process, which is ended and started again when it must be.

- `process`  the parent's end: start, hand over, watch, end
- `child`    the child's end
"""
