"""Fair shares of limited resources: connections, memory for bodies, seats of the live tail, groups.

- `resources`  every resource that is shared: its whole, the share of a caller, the part of anonymous callers
- `counter`    to whom a share is counted, what callers hold of one resource, and the refusal of one more
- `fair_pool`  queues and threads that callers take turns at
"""

from synapse.shares.counter import AllInUse, CallerId, Limits, Shares, ShareUsedUp, caller_of
