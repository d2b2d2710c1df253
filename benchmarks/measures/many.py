"""The cost of many streams and contracts, for a publish and for a start."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from statistics import median

from benchmarks.events import EVENT, compact
from benchmarks.load.values import Request, Result
from benchmarks.measures.publishing import CONNECTIONS, RATE
from benchmarks.measures.rate import Contender, Failed, compare
from benchmarks.running import processor
from benchmarks.running.many import Crowd
from benchmarks.stage import Stage
from benchmarks.values import Measured, Samples

FEW, MANY = 10, 10_000
_STARTS = 3


def publish(count: int) -> Callable[[Stage], Measured]:
    """Return the measure of a publish with a number of defined streams, compared with ten."""

    def measure(stage: Stage) -> Measured:
        many = min(count, stage.plan.contracts)
        with ExitStack() as stack:
            ours, few = (_publisher(stage, stage.crowd(size), stack) for size in (many, FEW))
            found = compare(stage, RATE, lambda: ours, lambda: few)
        return replace(found, notes=[*found.notes, *_fewer(many, count)])

    return measure


def start(stage: Stage) -> Measured:
    """Start a server with many streams, until it has accepted an event for the last of them."""
    many = min(MANY, stage.plan.contracts)
    found = [_started(stage.crowd(many)) for _ in range(min(_STARTS, stage.plan.rounds))]
    few, _ = _started(stage.crowd(FEW))
    used = median(used for _, used in found)
    notes = [f"processor time {used:.1f} s; with {FEW} it takes {few:.1f} s", *_fewer(many, MANY)]
    return Measured(ours=Samples([seconds for seconds, _ in found]), unit="s", notes=notes)


def _fewer(found: int, wanted: int) -> list[str]:
    return [f"only {found:,} in a short run"] if found < wanted else []


def _started(crowd: Crowd) -> tuple[float, float]:
    """Start a server and stop it again. Return the seconds and the processor time until it accepted an event."""
    begun = time.perf_counter()
    with crowd.serving() as server:
        status, answer = server.ask("POST", f"/events/{crowd.last}", compact(EVENT))
        seconds, used = time.perf_counter() - begun, processor.seconds(server.pid)
    if status != 201:
        raise Failed(f"a publish was answered with {status}: {answer[:200].decode(errors='replace')}")
    return seconds, used


def _publisher(stage: Stage, crowd: Crowd, stack: ExitStack) -> Contender:
    """Return a server that is paused while others are measured, so that its background work for many streams does not
    slow them.
    """
    server = stack.enter_context(crowd.serving())
    stack.callback(os.kill, server.pid, signal.SIGCONT)
    os.kill(server.pid, signal.SIGSTOP)
    request = Request(url=f"{server.url}/events/{crowd.last}", method="POST", body=compact(EVENT))

    def send(seconds: int) -> Result:
        before = crowd.valkey.added(crowd.last)
        os.kill(server.pid, signal.SIGCONT)
        try:
            result = stage.load.send(request, CONNECTIONS, seconds)
        finally:
            os.kill(server.pid, signal.SIGSTOP)
        if crowd.valkey.added(crowd.last) < before + result.requests:
            raise Failed(f"{result.requests} requests were answered and fewer events stored")
        return result

    return Contender(name=f"with {crowd.count:,}", pid=server.pid, send=send)
