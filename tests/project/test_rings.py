"""Each test is in the ring of the fixtures and modules it uses, and a test of the innermost starts no process."""

import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest

from tests.products import left_out
from tests.rings import Guard, _rings_of
from tests.tables import for_each
from tests.valkey import running_valkey


def helper():
    return running_valkey()


def starts(a, b):
    return subprocess.run([a, b], check=False)


class Helper:
    def start(self):
        return [helper() for _ in range(1)]


@pytest.mark.parametrize(
    ("function", "ring"),
    [
        (len, None),
        (lambda: len(""), "unit"),
        (lambda: subprocess.run(["true"], check=False), "process"),
        (Helper, "process"),
        (for_each("a", [1])(for_each("b", [2])(starts)), "process"),
    ],
)
def test_a_test_is_in_the_ring_of_what_its_helpers_start(function, ring):
    assert _rings_of(function) <= {ring, "unit"}
    assert ring is None or ring in _rings_of(function)


@pytest.mark.process
def test_a_unit_test_that_starts_a_process_fails_and_names_the_marker():
    guard = Guard()
    guard.is_unit = True

    with pytest.raises(pytest.fail.Exception, match="mark it"):
        subprocess.run([sys.executable, "-c", ""], check=False)


class Item:
    """A test of a product, as pytest collects it."""

    def __init__(self, kind, repeated):
        self.nodeid = f"tests/test_file.py::test_it[{kind}-{repeated}]"
        self.function = len
        self.callspec = SimpleNamespace(params={"kind": kind, "repeated": repeated})

    def get_closest_marker(self, name):
        return pytest.mark.product("repeated").mark if "repeated" in self.callspec.params else None


def test_the_sample_of_a_product_has_each_kind_and_is_the_same_each_time():
    items = [Item(kind, repeated) for kind in "abc" for repeated in range(9)]

    left = left_out(items)

    assert Counter(item.callspec.params["kind"] for item in items if item not in left) == {"a": 2, "b": 2, "c": 2}
    assert left == left_out(items[::-1])


def test_of_the_two_ways_in_each_test_that_asks_takes_one():
    items = [Item(kind, way) for kind in "abc" for way in ("event loop", "django")]
    for item in items:
        item.callspec.params = {"kind": item.callspec.params["kind"], "ask": item.callspec.params["repeated"]}

    left = left_out(items)

    assert Counter(item.callspec.params["kind"] for item in items if item not in left) == {"a": 1, "b": 1, "c": 1}


def test_a_table_is_asked_both_ways():
    items = [Item("a", way) for way in ("event loop", "django")]
    for item in items:
        item.callspec.params = {"ask": item.callspec.params["repeated"]}
        item.function = for_each("row", [1, 2])(print)

    assert left_out(items) == set()


def test_a_product_of_parameters_that_a_test_does_not_have_is_refused():
    item = Item("a", 1)
    item.get_closest_marker = lambda _: pytest.mark.product("repeated").mark
    item.callspec.params = {"kind": "a"}

    with pytest.raises(pytest.UsageError, match="no such parameters: repeated"):
        left_out([item])


def test_a_test_that_asks_only_the_database_is_in_the_innermost_ring(db, request):
    assert request.node.get_closest_marker("unit")
