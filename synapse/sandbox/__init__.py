"""Work on schemas and costly events, in child processes with limits on processor time and memory.

A schema comes from a user. Compiling one, comparing two and testing one on events run in the validator's machine code,
which cannot be interrupted. So they run in a child process: one that takes too long is ended, and no other caller
waits. Checking one event is usually quick; when it could take more than some milliseconds, a child does that, too.

- `process`   the parent's end: starts a child when it is needed, and replaces it
- `child`     the child's end: a program of its own, without Django
- `requests`  what can be asked: check a schema, compare schemas, back-test one, check an event
"""

from synapse.sandbox.requests import SchemaTrial, check_event, check_schema, compare, obstacle, open_trial
