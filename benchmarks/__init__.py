"""Benchmarks of Synapse beside its peers, on one machine, in one run. `python -m benchmarks --help` shows the options.

Absolute values drift with the machine, so each row of `rows.py` compares two things that are measured in turns, on the
same Valkey, with the same payload and the same load generator. Benchmarks are no tests: a slow result is not a failure.
"""
