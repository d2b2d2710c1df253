"""The ring of a test: the innermost in which all that it uses is there.

`unit` starts no process but the child of Synapse's own sandbox, `redis` asks a Valkey, `process` starts programs of
its own, `browser` drives a Chromium. A test is in the ring of what its function and its fixtures name, in the tests'
own code; `pytest.mark.process` moves one for which Synapse starts a program. A test of `unit` that starts one fails.
"""

import sys
from collections.abc import Iterator
from functools import cache
from inspect import unwrap
from types import CodeType, FunctionType
from typing import Any

import pytest

RINGS = ("unit", "redis", "process", "browser")
# What starts a program, by the name under which tests call it.
STARTERS = {
    "subprocess": "process",
    "Popen": "process",
    "EmbeddedRedis": "process",
    "HandlerSink": "process",
    "Sandbox": "process",
    "Supervisor": "process",
    "run_apart": "process",
    "sync_playwright": "browser",
}
OF_REDIS = "valkey_of_session"
_STARTS = frozenset(("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn"))


# The rings of functions with their fixtures, which the tests of all parameters share.
_found: dict[tuple[Any, int], tuple[Any, frozenset[str]]] = {}


def mark_ring(item: pytest.Item) -> None:
    """Mark a test with its ring."""
    fixtures = item._fixtureinfo  # type: ignore[attr-defined]
    key = (item.function, id(fixtures))  # type: ignore[attr-defined]
    if key not in _found:
        _found[key] = (fixtures, _rings_of_test(item.function, fixtures))  # type: ignore[attr-defined]
    rings = {mark.name for mark in item.iter_markers()} | _found[key][1]
    item.add_marker(max(rings.intersection(RINGS), key=RINGS.index, default="unit"))


def _rings_of_test(function: Any, fixtures: Any) -> frozenset[str]:
    """Return the rings of a test's function and fixtures."""
    found = fixtures.name2fixturedefs
    rings = {"redis"} if OF_REDIS in fixtures.names_closure else set()
    for each in (function, *(defs[-1].func for name, defs in found.items() if name != OF_REDIS)):
        rings |= _rings_of(each)
    return frozenset(rings)


@cache
def _rings_of(function: Any) -> frozenset[str]:
    """Return the rings of the names a function uses, and of the test helpers it calls."""
    rings, seen, waiting = set(), set(), [function]
    while waiting:
        found = waiting.pop()
        if isinstance(found, type):
            waiting += [each for each in vars(found).values() if isinstance(each, FunctionType)]
        found = unwrap(getattr(found, "__func__", found))
        if not isinstance(found, FunctionType) or found in seen:
            continue
        seen.add(found)
        for name in _names(found.__code__):
            rings.add(STARTERS.get(name, "unit"))
            named = found.__globals__.get(name)
            if getattr(named, "__module__", None) and named.__module__.startswith("tests."):
                waiting.append(named)
    return frozenset(rings)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


class Guard:
    """Fails the test of `unit` that is running when it starts a process."""

    def __init__(self) -> None:
        self.is_unit = False
        sys.addaudithook(self._look)

    def _look(self, event: str, args: tuple[object, ...]) -> None:
        is_sandbox = event == "subprocess.Popen" and "synapse.sandbox.child" in args[1]  # type: ignore[operator]
        if self.is_unit and event in _STARTS and not is_sandbox:
            self.is_unit = False
            pytest.fail(f"a test of the ring unit starts a process ({args[:2]}): mark it `pytest.mark.process`")
