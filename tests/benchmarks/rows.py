"""Rows of a benchmark table whose results are given by the test, not measured."""

from benchmarks.row import Outcome, Row
from benchmarks.values import Bar, Measured, Samples


def row(name, *, measure=None, **bar):
    return Row(name=name, work=f"work of {name}", peer="its peer", bar=Bar(**bar), measure=measure)


def outcome(name, ours, peer=None, *, notes=(), unit="events/s", **bar):
    found = Measured(ours=Samples(ours), peer=Samples(peer) if peer else None, unit=unit, notes=notes)
    return Outcome(row=row(name, **bar), measured=found)


def not_measured(name, why_not, **bar):
    return Outcome(row=row(name, **bar), why_not=why_not)
