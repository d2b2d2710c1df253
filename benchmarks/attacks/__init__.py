"""`python -m benchmarks.attacks`: does one hostile caller slow, or stop, all others?

A server that requires keys; a bystander that asks for `/healthz` and publishes with a good key, at a steady pace; and
hostile callers, one kind after the other, each for 30 seconds, from another address. Everything is on one machine, so
the attackers run at the lowest priority: processor time that they take from the server as neighbours is no part of
what is measured.
"""
