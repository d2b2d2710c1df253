"""`python -m benchmarks.explorer`: search and export 200,000 events in fifty streams, and print each value with its
limit.

Six streams have 34,000 events each, the others fifty. The longest gap is that of the server's event loop, in processor
time of its thread, which is meaningful on a shared machine, too. Memory is the server's resident memory. The exit
status is 1 when a limit is exceeded.
"""

import http.client
import os
import socket
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from urllib.parse import urlencode

import orjson

from benchmarks.console.figure import Figure, of_times, report
from benchmarks.events import EVENT, compact, entry_fields
from benchmarks.heartbeat.server import Gaps
from benchmarks.running import heartbeat
from benchmarks.running.installation import installed
from benchmarks.running.program import LOOPBACK, Program
from benchmarks.running.valkey import Valkey

LARGE, EVENTS_OF_LARGE = (
    [f"shop-{name}" for name in ("orders", "parcels", "payments", "refunds", "visits", "carts")],
    34_000,
)
SMALL, EVENTS_OF_SMALL = [f"team-{number:02}-events" for number in range(44)], 50
LONGEST_GAP = 25
NDJSON = "application/x-ndjson"
NEEDLE = "order-4711-of-anna"


def main() -> int:
    """Run the benchmark. Return 1 when a value exceeds its limit."""
    with installed("explorer") as installation:
        from streams.models import Stream  # noqa: PLC0415 - needs Django

        Stream.objects.bulk_create([Stream(name=name) for name in (*LARGE, *SMALL)])
        _fill(installation.valkey)
        with heartbeat.serving("explorer", installation.folder, installation.settings) as (program, gaps):
            return report(chain.from_iterable(part(program, gaps) for part in (_searches, _exports, _imports)))


def _fill(server: Valkey) -> None:
    names = [*LARGE, *SMALL]
    left = {name: EVENTS_OF_LARGE if name in LARGE else EVENTS_OF_SMALL for name in names}
    fields = entry_fields()
    own = {"event": EVENT["event_type"], "source": "shop", "synapse_version": "1", "synapse_added": "es"}
    number = 0
    while any(left.values()):
        with server.client.pipeline(transaction=False) as pipeline:
            for name in names:
                for _ in range(min(left[name], 300 if name in LARGE else 1)):
                    number += 1
                    pipeline.xadd(name, {**fields, **own, "request_id": f"req_{number}"})
                    left[name] -= 1
            pipeline.execute()


def _searches(program: Program, gaps: Gaps) -> Iterator[Figure]:
    _ask(program)
    gaps.clear()
    pages = [_ask(program)[1] for _ in range(20)]
    yield of_times("a page of the explorer over fifty streams", pages, most=500)
    yield _gap(gaps, "meanwhile")
    for name, query in (("text", {"q": NEEDLE}), ("filter", {"filter": f'event.request_id == "{NEEDLE}"'})):
        gaps.clear()
        times = []
        for _ in range(5):
            page, seconds = _ask(program, stream=",".join(LARGE), **query)
            assert page["scanned"] == 10_000, page["scanned"]
            times.append(seconds)
        yield of_times(f"10,000 events searched, by {name}", times, most=1000)
        yield _gap(gaps, "meanwhile")
        gaps.clear()
        scanned, begun, cursor = 0, time.perf_counter(), ""
        while scanned < 100_000:
            page, _ = _ask(program, stream=",".join(LARGE), next=cursor, **query)
            scanned, cursor = scanned + page["scanned"], page["next"]
        yield Figure(
            name=f"100,000 events searched with “next”, by {name}", value=time.perf_counter() - begun, unit="s"
        )
        yield _gap(gaps, "meanwhile")


def _exports(program: Program, gaps: Gaps) -> Iterator[Figure]:
    newest = {"stream": ",".join(LARGE[:3])}
    _export(program, {**newest, "q": "req_1"}, most=1)
    for form in ("ndjson", "csv"):
        gaps.clear()
        before, begun = _memory(program), time.perf_counter()
        lines, peak = _export(program, {**newest, "format": form})
        name = f"{lines - (form == 'csv'):,} events exported as {form}"
        yield Figure(name=name, value=time.perf_counter() - begun, unit="s")
        yield Figure(name="  memory of the server meanwhile, above before", value=peak - before, unit="MiB", most=25)
        yield _gap(gaps, "  meanwhile")
    before = _memory(program)
    readers = [_slow_reader(program, newest) for _ in range(4)]
    time.sleep(5)
    yield Figure(
        name="growth of the server's memory with four callers that do not read their exports",
        value=_memory(program) - before,
        unit="MiB",
        most=50,
    )
    for reader in readers:
        reader.close()


def _imports(program: Program, gaps: Gaps) -> Iterator[Figure]:
    body = b"\n".join(compact({**EVENT, "request_id": f"imported_{number}"}) for number in range(10_000))
    for name, query in (("checked alone", {"dry_run": "true"}), ("imported", {}), ("imported again", {})):
        gaps.clear()
        begun = time.perf_counter()
        status, answer = program.ask("POST", _address(f"/streams/{SMALL[0]}/import", query), body, NDJSON)
        assert (status, orjson.loads(answer)["accepted"]) == (200, 10_000), answer[:1000]
        yield Figure(name=f"10,000 lines {name}", value=time.perf_counter() - begun, unit="s")
        yield _gap(gaps, "  meanwhile")


def _address(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}"


def _ask(program: Program, **query: str) -> tuple[dict[str, object], float]:
    begun = time.perf_counter()
    status, body = program.ask("GET", _address("/events", query))
    seconds = time.perf_counter() - begun
    assert status == 200, body
    return orjson.loads(body), seconds


def _export(program: Program, query: dict[str, str], *, most: int = 10**9) -> tuple[int, float]:
    """Read an export; return its number of lines, and the highest memory of the server during it."""
    connection = http.client.HTTPConnection(LOOPBACK, program.port, timeout=60)
    connection.request("GET", _address("/export/events", query))
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    lines, peak = 0, 0.0
    while (part := answer.read(1024 * 1024)) and lines < most:
        lines += part.count(b"\n")
        peak = max(peak, _memory(program))
    connection.close()
    return lines, peak


def _slow_reader(program: Program, query: dict[str, str]) -> socket.socket:
    reader = socket.create_connection((LOOPBACK, program.port))
    reader.sendall(f"GET {_address('/export/events', query)} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode())
    return reader


def _memory(program: Program) -> float:
    """Return the resident memory of the server, in MiB."""
    pages = int(Path(f"/proc/{program.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _gap(gaps: Gaps, name: str) -> Figure:
    _, taken = gaps.read()
    return Figure(name=f"{name}, the longest gap of the event loop", value=taken * 1000, unit="ms", most=LONGEST_GAP)


if __name__ == "__main__":
    sys.exit(main())
