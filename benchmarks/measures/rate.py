"""Rates of two contenders, measured in turns, so that disturbances of the machine affect both."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.load.values import Request, Result
from benchmarks.running import processor
from benchmarks.running.program import Program
from benchmarks.stage import Stage
from benchmarks.values import Measured, NotMeasured, Samples


class Failed(Exception):
    """A contender did not do the work that is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A client: `send` sends requests for some seconds. A request counts as `events` of the row's unit."""

    name: str
    send: Callable[[int], Result]
    events: int = 1
    # The server's process id, if its processor time is measured.
    pid: int = 0
    # The stream of the events, which is emptied before each round and counted after it.
    stream: str = ""


def over_http(
    stage: Stage, server: Program, request: Request, *, connections: int, stream: str = "", events: int = 1
) -> Contender:
    """Return a contender that answers HTTP."""
    return Contender(
        name=server.name,
        pid=server.pid,
        send=lambda seconds: stage.load.send(request, connections, seconds),
        events=events,
        stream=stream,
    )


def compare(stage: Stage, unit: str, ours: Callable[[], Contender], peer: Callable[[], Contender]) -> Measured:
    """Measure the two in turns. Without a peer, only Synapse is measured, and a note gives the reason."""
    notes = [stage.load.note] if stage.load.note else []
    contenders = [ours()]
    try:
        contenders.append(peer())
    except NotMeasured as missing:
        notes.append(str(missing))
    if stage.plan.warm_up:
        for contender in contenders:
            _round(stage, contender, stage.plan.warm_up)
    rounds = [
        [_round(stage, contender, stage.plan.seconds) for contender in contenders] for _ in range(stage.plan.rounds)
    ]
    columns = list(zip(*rounds, strict=True))
    rates = [Samples([found["rate"] for found in column]) for column in columns]
    costs = [
        f"{contender.name} {median(found['cpu_us'] for found in column):.0f}"
        for contender, column in zip(contenders, columns, strict=True)
        if all("cpu_us" in found for found in column)
    ]
    if costs:
        notes.append(f"processor time, microseconds each: {', '.join(costs)}")
    return Measured(ours=rates[0], peer=rates[1] if len(rates) > 1 else None, unit=unit, notes=notes, rounds=rounds)


def _round(stage: Stage, contender: Contender, seconds: int) -> dict[str, float]:
    if contender.stream:
        stage.valkey.fresh(contender.stream)
    before = processor.seconds(contender.pid)
    result = contender.send(seconds)
    used = processor.seconds(contender.pid) - before
    if result.errors or not result.requests:
        raise Failed(f"{contender.name}: {result.errors} of {result.requests} requests failed")
    if contender.stream and stage.valkey.added(contender.stream) < result.requests * contender.events:
        raise Failed(f"{contender.name} answered {result.requests} requests and stored fewer events")
    done = result.requests * contender.events
    cost = {"cpu_us": used / done * 1e6} if used else {}
    return {"rate": done / result.seconds, **cost, **asdict(result)}
