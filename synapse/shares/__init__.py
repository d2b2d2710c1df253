"""Fair shares of what there is only so much of: connections, memory for bodies, seats of the live tail, groups.

- `resources`  every resource that is shared: its whole, the share of a caller, the part of anonymous callers
- `callers`    to whom a share is counted: a service, a person, an address
- `counter`    what callers hold of one resource, and the refusal of one more
"""

from synapse.shares.callers import CallerId, caller_of
from synapse.shares.counter import (
    AllInUse,
    Limits,
    Shares,
    ShareUsedUp,
)

__all__ = ["AllInUse", "CallerId", "Limits", "ShareUsedUp", "Shares", "caller_of"]
