"""Products of parameters, of which the ordinary run takes a sample, and `SYNAPSE_TESTS=full` all.

`pytest.mark.product("draft")` says that this parameter repeats the others: each combination of the others is a kind.
Of each kind one test in eight is taken, and at least one. A hash of their names chooses, the same on each machine.

`ask`, the fixture for both ways in, is such a parameter everywhere: the two run the same code behind their adapters,
which the tests that compare them hold to each other (`test_both_ways_agree.py` in several folders). A table of rows is
asked both ways, since one way for all of its rows would be no sample.
"""

import zlib
from collections import defaultdict

import pytest

ONE_IN = 8


def left_out(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the tests of products that the ordinary run leaves out."""
    kinds: dict[tuple[object, ...], list[pytest.Item]] = defaultdict(list)
    texts: dict[int, str] = {}

    def shown(value: object) -> str:
        # Hundreds of tests share one value, which can be a long one.
        return texts[id(value)] if id(value) in texts else texts.setdefault(id(value), repr(value))

    for item in items:
        product = item.get_closest_marker("product")
        given = item.callspec.params if hasattr(item, "callspec") else {}
        repeated = set(product.args if product else ())
        if not is_table(item):
            repeated |= {"ask"} & given.keys()
        if unknown := repeated - given.keys():
            raise pytest.UsageError(f"{item.nodeid}: no such parameters: {', '.join(sorted(unknown))}")
        if repeated:
            others = sorted((name, shown(value)) for name, value in given.items() if name not in repeated)
            kinds[item.nodeid.partition("[")[0], *others].append(item)
    return {item for kind in kinds.values() for item in sorted(kind, key=_chance)[-(-len(kind) // ONE_IN) :]}


def is_table(item: pytest.Item) -> bool:
    """Say whether a test tries the rows of a table (`tests.tables.for_each`)."""
    return getattr(item.function, "is_table", False)  # type: ignore[attr-defined]


def _chance(item: pytest.Item) -> int:
    return zlib.crc32(item.nodeid.encode())
