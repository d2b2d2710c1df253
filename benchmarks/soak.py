"""`python -m benchmarks.soak`: does memory stay flat under publishers, watchers and slow watchers at once, for minutes?

With one web server worker, 500 connections watch a stream to which 100 events a second are published. 32 connections
publish to another stream as fast as they are answered. A few watch that one more slowly than it grows, so that they are
dropped and reconnect. Prints the memory of the server and of Redis every few seconds, and at the end the number of
events that each kind of client got.
"""

import argparse
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import median
from subprocess import SubprocessError
from typing import Literal

from redis import RedisError

from benchmarks import machine
from benchmarks.events import compact
from benchmarks.load.values import Request, Result
from benchmarks.measures.live import MEGABYTE, RATE, WATCHERS, watch
from benchmarks.measures.memory import resident_bytes
from benchmarks.measures.rate import Failed
from benchmarks.report import RESULTS
from benchmarks.running import processor
from benchmarks.running.program import DidNotStart, Program
from benchmarks.stage import Stage, staged
from benchmarks.values import FULL

LOADED, CONNECTIONS = "platform-events", 32
EVENT = {"event_type": "user-action", "user_id": "user_42", "action": "login"}
SLOW, BYTES_A_SECOND = 5, 200_000
# Memory grows while caches fill and the stream reaches its length; the comparison begins after that.
WARM_UP = 60
# The MB by which the last minute may exceed the second: noise of the allocator.
FLAT = 10
EVERY = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The memory at a moment, in MB: `at` is in seconds since the start, `length` the length of the loaded stream."""

    at: float
    server: float
    redis: float
    length: int


def main() -> int:
    """Run the benchmark and print its results. Return 1 when a client missed an event, or memory grew."""
    options = _options()
    # Makes a terminated run end the programs that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with staged(FULL) as stage:
        facts = machine.facts(stage)
        _print("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
        try:
            found = soak(stage, options.seconds)
        except (Failed, DidNotStart, SubprocessError, RedisError, OSError) as fault:
            _print(f"FAILED: {fault}")
            return 1
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-soak.json"
    path.write_text(json.dumps({"machine": facts, **found}, indent=1))
    print(json.dumps({name: what for name, what in found.items() if name != "looks"}, indent=1))
    return 0


def soak(stage: Stage, seconds: int) -> dict[str, object]:
    """Run publishers, watchers and slow watchers at once for some seconds.

    Raises:
        Failed: when a watcher missed an event, a publish was refused or lost, or memory grew.
    """
    with stage.another_synapse() as server, ThreadPoolExecutor() as threads, _slow_ones(server) as ended:
        request = Request(url=f"{server.url}/events/{LOADED}", method="POST", body=compact(EVENT))
        used = processor.seconds(server.pid)
        watched = threads.submit(watch, server, seconds)
        loaded = threads.submit(stage.load.send, request, CONNECTIONS, seconds)
        looks = list(_looks(stage, server, watched))
        used = processor.seconds(server.pid) - used
        frames, load = watched.result(), loaded.result()
        dropped = len(ended)
    check_publishes(load, stage.valkey.added(LOADED))
    held = minutes("server", looks)
    check_memory(held)
    return {
        "seconds": seconds,
        "published, events/s": round(load.requests / load.seconds),
        "publish, ms (median, 99 %)": [round(load.p50_ms, 1), round(load.p99_ms, 1)],
        "watchers": WATCHERS,
        "frames, each got each of, of planned": [frames["received"], frames["published"], RATE * seconds],
        "frames, ms (median, 99 %, most)": [round(frames[name], 1) for name in ("p50_ms", "p99_ms", "most_ms")],
        "slow ones were cut off, and came back": dropped,
        "processor time of the server, share": round(used / seconds, 2),
        "server, MB (second minute, last minute)": held or "too short to say",
        "server, MB at the most": round(max(look.server for look in looks), 1),
        "Redis, MB (second minute, last minute)": minutes("redis", looks) or "too short to say",
        "looks": [asdict(look) for look in looks],
    }


def check_publishes(load: Result, stored: int) -> None:
    """Check that each publish was accepted and is stored.

    Raises:
        Failed: when one was refused, or fewer were stored than were answered.
    """
    if load.errors or stored < load.requests:
        raise Failed(f"{load.requests} publishes, {load.errors} errors, {stored} stored")


def minutes(name: Literal["server", "redis"], looks: Sequence[Look]) -> list[float]:
    """Return the memory in the second minute and in the last, as medians in MB; an empty list when the run was too
    short."""
    first = [look for look in looks if WARM_UP <= look.at < 2 * WARM_UP]
    last = [look for look in looks if look.at > max(looks[-1].at - WARM_UP, 2 * WARM_UP)]
    if not first or not last:
        return []
    return [round(median(getattr(look, name) for look in part), 1) for part in (first, last)]


def check_memory(held: Sequence[float]) -> None:
    """Check that the server used about as much memory in the last minute as in the second.

    Raises:
        Failed: when it was higher by more than `FLAT`.
    """
    if held and held[1] > held[0] + FLAT:
        raise Failed(f"the server held {held[0]} MB in the second minute and {held[1]} MB in the last")


def _looks(stage: Stage, server: Program, until: "Future[object]") -> Iterator[Look]:
    began = time.monotonic()
    while not until.done():
        look = Look(
            at=time.monotonic() - began,
            server=resident_bytes(server.pid) / MEGABYTE,
            redis=stage.valkey.client.info("memory")["used_memory"] / MEGABYTE,
            length=stage.valkey.client.xlen(LOADED),
        )
        _print(f"{look.at:5.0f} s: server {look.server:.0f} MB, Redis {look.redis:.0f} MB, {look.length} events kept")
        yield look
        _wait(until, EVERY)


def _wait(until: "Future[object]", seconds: float) -> None:
    over = threading.Event()
    until.add_done_callback(lambda _: over.set())
    over.wait(seconds)


@contextmanager
def _slow_ones(server: Program) -> Iterator[list[int]]:
    """Let a few clients read the loaded stream slowly and repeatedly; yield a list of the dropped ones.

    Raises:
        Failed: when curl, which reads slowly, is not installed.
    """
    if shutil.which("curl") is None:
        raise Failed("curl is not installed: it reads slowly")
    over = threading.Event()
    dropped: list[int] = []
    words = ["curl", "-sN", "-o", "/dev/null", "--limit-rate", str(BYTES_A_SECOND)]

    def read(number: int) -> None:
        while not over.is_set():
            with subprocess.Popen([*words, f"{server.url}/streams/{LOADED}/live"]) as curl:
                while curl.poll() is None and not over.wait(0.2):
                    pass
                curl.terminate()
            if not over.wait(0.2):
                dropped.append(number)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(SLOW)]
    for thread in threads:
        thread.start()
    try:
        yield dropped
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--seconds", type=int, default=300, help="how long (300)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
