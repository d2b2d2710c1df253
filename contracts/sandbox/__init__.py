"""Work on schemas that came with a request, in a child process with limits to its processor time and memory.

A schema is somebody's text. Compiling one, comparing two and testing one on events run in the validator's machine code,
which nothing can interrupt. So they happen in a child process; one that takes too long ends, and nobody else waits.

- `process`    the parent's end: starts a child when it is needed, and replaces it
- `child`      the child's end: a program of its own, without Django
- `questions`  what can be asked: check a schema, compare schemas, back-test one
"""

from contracts.sandbox.questions import Trial, check_schema, compare, obstacle, trial

__all__ = ["Trial", "check_schema", "compare", "obstacle", "trial"]
