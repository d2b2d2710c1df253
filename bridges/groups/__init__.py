"""Operations on groups: create, pause, resume, move, delete.

- `actions`  the actions; each is recorded
- `checks`   what speaks against an action (who reads, and whose the group is), and what moving it would do
- `expiry`   groups that a read opened and that nobody reads any more

The operations use the threads' connection to Redis, and take and return values: whether HTTP or a page asks is not
known here.
"""

from bridges.groups.actions import create, delete, move, pause, resume
from bridges.groups.checks import MoveEffect, plan_move, status_of
