"""Operations on groups: create, pause, resume, move, delete.

- `actions`  the actions; each is recorded
- `checks`   what speaks against an action (who reads, and whose the group is), and what moving it would do
- `expiry`   groups that a read opened and that nobody reads any more

The operations use the threads' connection to Redis, and take and return values: who calls them over HTTP or from a page
is not known here.
"""

from bridges.groups.actions import (
    create,
    delete,
    move,
    pause,
    permit,
    resume,
)
from bridges.groups.checks import Created, Deleted, Moved, Paused, Plan, plan, standing

__all__ = [
    "Created",
    "Deleted",
    "Moved",
    "Paused",
    "Plan",
    "create",
    "delete",
    "move",
    "pause",
    "permit",
    "plan",
    "resume",
    "standing",
]
