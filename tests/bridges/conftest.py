"""Workers for the tests: by hand, without waiting."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridges.runtime import identity
from bridges.runtime.membership import Subscription
from bridges.runtime.worker import Worker
from streams import connections
from streams.broker import SyncExecutor
from tests.bridges.cast import GROUP, STREAM, Bridge, KeepingSink


@pytest.fixture
def bridge() -> Iterator[Callable[..., Bridge]]:
    """Make a worker: `bridge(sink, lease_ms=0, drain=True)`; options of the subscription or the worker."""
    executors = []

    def make(sink: Any = None, **options: Any) -> Bridge:
        executor = SyncExecutor(connections.server())
        executors.append(executor)
        kept: list[str] = []
        sink = sink or KeepingSink()
        of_worker = {
            name: options.pop(name) for name in ("drain", "count", "clock", "stop", "types_of") if name in options
        }
        subscription = Subscription(
            **{"stream": STREAM, "group": GROUP, "consumer": identity.fresh(), "block_ms": 0, **options}
        )
        worker = Worker(subscription, executor=executor, sink=sink, say=kept.append, **of_worker)
        return Bridge(worker, sink, kept)

    yield make
    for executor in executors:
        executor.close()
