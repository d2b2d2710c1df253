"""`python -m benchmarks.find`: index 200,000 events, find some of them, and publish beside the indexer; print each
value with its limit.

Takes four minutes. The exit status is 1 when a limit is exceeded.
"""

import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from statistics import median

from benchmarks.console.figure import Figure, of_times, processor_time, report
from benchmarks.events import EVENT, compact, entry_fields
from benchmarks.load import generator
from benchmarks.load.values import Request
from benchmarks.running import processor, synapse
from benchmarks.running.installation import installed
from benchmarks.running.valkey import Valkey
from synapse.auth.principal import ANONYMOUS
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.correlation import search
from synapse.correlation.indexer import Indexer
from synapse.redis import SyncExecutor, keyspace

EVENTS = 200_000
PUBLISHED = "inference-events"
_ROUNDS, _SECONDS = 6, 10
_AT_ONCE = 2_000


def main() -> int:
    """Run the benchmark. Return 1 when a value exceeds its limit."""
    with installed("find", with_catalog=True) as here:
        return report(chain(_searches(here.valkey), _publishing(here.folder, here.settings, here.valkey)))


class _Bench:
    """The streams of this benchmark, their indexer, and searches."""

    def __init__(self, server: Valkey) -> None:
        from streams import connections  # noqa: PLC0415 - needs Django

        self.digests = connections.digests()
        self.executor: SyncExecutor = connections.executor()
        self.client = server.client
        self.streams = {name: StreamDefinition(name=name) for name in ("orders", *(f"team-{n}" for n in range(49)))}
        self.indexer = Indexer(
            lambda: self.executor, lambda: self.streams, lambda: self.digests, budget=1000, busy=lambda: 0.0
        )

    def fill(self, stream: str, count: int, first: int = 0) -> None:
        """Add events that carry a request id, a correlation id and a trace."""
        beside = {"source": "shop", "synapse_version": "1", "synapse_added": "esc"}
        fields = entry_fields()
        for start in range(first, first + count, _AT_ONCE):
            with self.client.pipeline(transaction=False) as pipeline:
                for number in range(start, min(start + _AT_ONCE, first + count)):
                    known = {"request_id": f"req_{number}", "correlation_id": f"c{number}"}
                    trace = {"traceparent": f"00-{number:032x}-00f067aa0ba902b7-01"}
                    pipeline.xadd(stream, {**fields, "event": EVENT["event_type"], **known, **trace, **beside})
                pipeline.execute()

    def find(self, text: str, *streams: str) -> tuple[float, int]:
        """Return the seconds that a search took, and the number of events that it found."""
        catalog = Snapshot(version=1, streams={name: self.streams[name] for name in streams})
        begun = time.perf_counter()
        found = self.executor.run(search.find_by_id(text, catalog, ANONYMOUS, self.digests, count=20))
        assert not found.unsearched
        return time.perf_counter() - begun, len(found.matches)


def _searches(server: Valkey) -> Iterator[Figure]:
    bench = _Bench(server)
    bench.fill("orders", EVENTS)
    before = server.client.info("memory")["used_memory"]
    seconds = processor_time(bench.indexer.step)
    yield Figure(name=f"{EVENTS:,} events indexed, processor time", value=seconds, unit="s")
    memory = server.client.info("memory")["used_memory"] - before
    yield Figure(name="  memory of their index", value=memory / 1e6, unit="MB", most=10)
    texts = [f"req_{n}" for n in range(0, EVENTS, 20_001)] + [f"{n:032x}" for n in range(1, EVENTS, 20_001)]
    yield of_times("an event found among them", [_one(bench.find(text, "orders")) for text in texts], most=100)
    yield of_times("  an event that was never there", [bench.find(f"no-{n}", "orders")[0] for n in range(20)], most=100)
    bench.fill("orders", 250, EVENTS)
    yield of_times(
        "  with 250 events that are not indexed yet", [_one(bench.find(text, "orders")) for text in texts], most=100
    )
    for name in bench.streams:
        if name != "orders":
            bench.fill(name, 2_000)
    bench.indexer.step()
    for name in bench.streams:
        bench.fill(name, 250, 2_000)
    times = [bench.find("req_7", *bench.streams) for _ in range(5)]
    assert {count for _, count in times} == {20}
    yield of_times("an event found over fifty streams, 250 of each not indexed", [each for each, _ in times], most=500)
    cost = []
    for number in range(10):
        bench.fill("orders", 1_000, 1_000_000 + 1_000 * number)
        cost.append(processor_time(bench.indexer.step))
    share = median(cost) * 100
    yield Figure(name="the indexer at 1,000 events a second, of a core", value=share, unit="%", most=5)


def _publishing(folder: Path, settings: dict[str, str], server: Valkey) -> Iterator[Figure]:
    """Publish as fast as possible with the indexer, and without it, while another holder has its lease."""
    server.client.flushall()
    load = generator(folder)
    rates: dict[bool, list[float]] = {True: [], False: []}
    with synapse.serving(folder, settings) as program:
        request = Request(url=f"{program.url}/events/{PUBLISHED}", method="POST", body=compact(EVENT))
        load.send(request, 32, 3)
        for place in range(2 * _ROUNDS):
            # Measured in pairs, whose order alternates.
            on = place % 4 in (0, 3)
            server.client.set(keyspace.INDEXER_LEASE, "nobody", px=1 if on else 3_600_000)
            load.send(request, 32, 4)
            before = processor.seconds(program.pid)
            result = load.send(request, 32, _SECONDS)
            rates[on].append(result.requests / (processor.seconds(program.pid) - before))
    ratios = [on / off for on, off in zip(rates[True], rates[False], strict=True)]
    yield Figure(name="publish rate beside the indexer, of that without", value=median(ratios), unit="", least=0.97)


def _one(found: tuple[float, int]) -> float:
    seconds, count = found
    assert count == 1
    return seconds


if __name__ == "__main__":
    sys.exit(main())
