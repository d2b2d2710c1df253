"""Products of parameters, of which the ordinary run takes a sample, and `SYNAPSE_TESTS=full` all.

`pytest.mark.product("draft")` says that this parameter repeats the others: each combination of the others is a kind.
Of each kind one test in eight is taken, and at least one. A hash of their names chooses, the same on each machine.
"""

import zlib
from collections import defaultdict

import pytest

ONE_IN = 8


def left_out(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the tests of products that the ordinary run leaves out."""
    kinds: dict[tuple[object, ...], list[pytest.Item]] = defaultdict(list)
    for item in items:
        if product := item.get_closest_marker("product"):
            given = item.callspec.params  # type: ignore[attr-defined]
            if unknown := set(product.args) - given.keys():
                raise pytest.UsageError(f"{item.nodeid}: no such parameters: {', '.join(sorted(unknown))}")
            others = sorted((name, repr(value)) for name, value in given.items() if name not in product.args)
            kinds[item.nodeid.partition("[")[0], *others].append(item)
    return {item for kind in kinds.values() for item in sorted(kind, key=_chance)[-(-len(kind) // ONE_IN) :]}


def _chance(item: pytest.Item) -> int:
    return zlib.crc32(item.nodeid.encode())
