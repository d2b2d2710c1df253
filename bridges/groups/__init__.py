"""Operations on groups: create, pause, resume, move, delete.

- `actions`  the actions, each recorded in the audit log
- `checks`   obstacles to an action (active readers, the group's owner), and the effect of a move
- `expiry`   deletion of groups that a read opened and that are no longer read

The operations use the threads' connection to Redis. They take and return values, so that the API and the admin share
them.
"""

from bridges.groups.actions import create, delete, move, pause, resume
from bridges.groups.checks import MoveEffect, plan_move, status_of
