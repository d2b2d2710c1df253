"""`python -m benchmarks.attacks`: does one hostile caller slow, or stop, all others?

The server requires keys. A bystander requests `/healthz` and publishes with a valid key, at a steady pace. Hostile
callers attack from another address, one kind after the other, each for 30 seconds. All run on one machine, so the
attackers have the lowest priority: the processor time that they use themselves must not count.
"""
