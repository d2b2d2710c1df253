"""`python -m benchmarks.filters`: filter events over HTTP, try hostile filters, and print each value with its limit.

The longest gap is that of the server's event loop. It and the times of hostile filters are processor time, which is
meaningful on a shared machine, too. The exit status is 1 when a limit is exceeded.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from statistics import median
from urllib.parse import urlencode

import orjson

from benchmarks.console.figure import Figure, report
from benchmarks.events import EVENT, compact, entry_fields
from benchmarks.heartbeat.server import Gaps
from benchmarks.running import heartbeat
from benchmarks.running.installation import installed
from benchmarks.running.program import Program
from benchmarks.running.valkey import Valkey
from synapse.errors.streams import BadFilterExpression
from synapse.filters import compile_filter
from tests.filters.hostile import HOSTILE, large_event

EVENTS = 100_000
LONGEST_GAP = 25
FILTERS = {
    "one comparison": 'event.request_id == "req_99999"',
    "eight comparisons": " || ".join(f'event.request_id == "req_{number}"' for number in range(1, 9)),
    "a pattern": r'event.request_id.matches(r"^req_9{4,5}[^9]?$") && event_type != "nothing"',
}
_LOAD = """
import time
from synapse.filters.library import load_cel
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1024**2
before, begun = resident(), time.perf_counter()
load_cel().compile("event.n == 3").execute({"event": {"n": 3}})
print(time.perf_counter() - begun, resident() - before)
"""


def main() -> int:
    """Run the benchmark. Return 1 when a value exceeds its limit."""
    return report(chain(_load(), _hostile(), _over_http()))


def _load() -> Iterator[Figure]:
    loads = [
        subprocess.run([sys.executable, "-c", _LOAD], check=True, capture_output=True, text=True).stdout.split()
        for _ in range(3)
    ]
    seconds, memory = (median(map(float, each)) for each in zip(*loads, strict=True))
    yield Figure(name="the library loaded with the first filter", value=seconds * 1000, unit="ms")
    yield Figure(name="  memory that it takes", value=memory, unit="MiB")


def _hostile() -> Iterator[Figure]:
    """Measure the processor time of each hostile filter on a large event."""
    times: dict[str, float] = {}
    refused = 0
    for text in HOSTILE:
        begun = time.process_time()
        try:
            compile_filter(text).matches({"event": large_event(), "id": "1-0"})
        except BadFilterExpression:
            refused += 1
        times[text] = time.process_time() - begun
    slowest = sorted(times, key=lambda text: -times[text])[:3]
    name = f"{len(HOSTILE)} hostile filters, {refused} of them refused; the slowest, {slowest[0]:.60}"
    yield Figure(name=name, value=times[slowest[0]] * 1000, unit="ms", most=100)
    for text in slowest[1:]:
        yield Figure(name=f"  then {text:.60}", value=times[text] * 1000, unit="ms", most=100)


def _over_http() -> Iterator[Figure]:
    with installed("filters") as installation:
        from streams.models import Stream  # noqa: PLC0415 - needs Django

        Stream.objects.create(name="orders")
        Stream.objects.create(name="large")
        _fill(installation.valkey)
        with heartbeat.serving("filters", installation.folder, installation.settings) as (program, gaps):
            _ask(program, "orders", filter="event.n == 1")
            for what, text in {"none, for comparison": "", **FILTERS}.items():
                yield from _measure(program, gaps, what, text)
            gaps.clear()
            page, seconds = _ask(program, "large", filter='"tag 9" in event.tags && event.text.contains("b")')
            yield Figure(name=f"{page['scanned']} events of 0.4 MB filtered", value=seconds * 1000, unit="ms")
            yield _gap(gaps)


def _fill(server: Valkey) -> None:
    fields = entry_fields()
    own = {"event": EVENT["event_type"], "source": "shop", "synapse_version": "1", "synapse_added": "es"}
    for begin in range(0, EVENTS, 1000):
        with server.client.pipeline(transaction=False) as pipeline:
            for number in range(begin, begin + 1000):
                pipeline.xadd("orders", {**fields, **own, "request_id": f"req_{number}"})
            pipeline.execute()
    tags = compact([f"tag {number}" for number in range(10_000)]).decode()
    for _ in range(40):
        server.client.xadd("large", {**own, "event_type": "x", "tags": tags, "text": "a" * 300_000})


def _measure(program: Program, gaps: Gaps, what: str, text: str) -> Iterator[Figure]:
    # An event type that no event has makes the comparison read as many entries.
    query = {"filter": text} if text else {"event_type": "nothing"}
    gaps.clear()
    times = []
    for _ in range(5):
        page, seconds = _ask(program, "orders", order="oldest", **query)
        assert page["scanned"] == 10_000, page["scanned"]
        times.append(seconds * 1000)
    yield Figure(name=f"10,000 events, {what}", value=median(times), unit="ms", highest=max(times), most=1000)
    yield _gap(gaps)
    gaps.clear()
    begun, scanned, past = time.perf_counter(), 0, "0"
    while past:
        page, _ = _ask(program, "orders", order="oldest", count="1000", after=past, **query)
        scanned, past = scanned + page["scanned"], page["next"]
    yield Figure(name=f"{scanned:,} events with “next”, {what}", value=time.perf_counter() - begun, unit="s")
    yield _gap(gaps)


def _ask(program: Program, stream: str, **query: str) -> tuple[dict[str, object], float]:
    begun = time.perf_counter()
    status, body = program.ask("GET", f"/streams/{stream}/messages?{urlencode(query)}")
    seconds = time.perf_counter() - begun
    assert status == 200, body
    return orjson.loads(body), seconds


def _gap(gaps: Gaps) -> Figure:
    _, taken = gaps.read()
    return Figure(name="  the longest gap of the event loop meanwhile", value=taken * 1000, unit="ms", most=LONGEST_GAP)


if __name__ == "__main__":
    sys.exit(main())
