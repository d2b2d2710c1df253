"""Users' handlers, run in processes of their own.

A handler is somebody else's code: it may hang, hold Python's interpreter lock, leak, or end its process. None of that
may touch other bridges, so each handler sink has one child process, which is ended and started again when it must be.

- `allowed`  which functions may be named: what the settings list
- `calling`  a handler as the one way in which the child calls it
- `board`    what the child notes of each event, so that it is known even when the child is not there any more
- `messages` what the two ends say to each other
- `process`  the parent's end: start, hand over, watch, end
- `child`    the child's end
"""
