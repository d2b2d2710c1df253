"""Benchmarks: Synapse beside its peers, on this machine, in one run. `python -m benchmarks --help` says how to call it.

Absolute values drift with the machine, so each row of `rows.py` compares two things that are measured in turns, on the
same Valkey, with the same payload and the same load generator. Nothing here is a test: nothing fails for being slow.
"""
