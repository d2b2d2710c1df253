"""What `manage.py consume` does: it brings a stream's events to the console."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from bridges.errors import NotDefined
from bridges.runtime import identity, position
from bridges.runtime.joining import Say
from bridges.runtime.membership import Subscription
from bridges.runtime.stop import Stop
from bridges.runtime.worker import Worker
from bridges.sinks.console import ConsoleSink
from streams import background, connections
from streams.entry import TopLevelTypes
from streams.snapshot import holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a person asked for: `begin` as in bridges.runtime.position, None for wherever the group is."""

    stream: str
    group: str
    consumer: str | None = None
    begin: str | None = None
    drain: bool = False
    count: int | None = None


def console_worker(
    wanted: Wanted, *, descriptor: int, say: Say, stop: Stop, colour: bool | None = None, block_ms: int = 2000
) -> Worker:
    """Return the worker that prints to the file `descriptor`.

    Raises:
        NotDefined: when the catalog has no such stream.
        BadPosition: when `begin` names no place in a stream.
    """
    known = holder.current().streams
    if wanted.stream not in known:
        raise NotDefined(_no_such_stream(wanted.stream, known))
    subscription = Subscription(
        stream=wanted.stream,
        group=wanted.group,
        consumer=wanted.consumer or identity.fresh(),
        start=position.start_of(wanted.begin or "beginning", now=datetime.now(UTC)),
        must_be_new=wanted.begin is not None,
        block_ms=block_ms,
    )

    def types_of() -> Mapping[str, TopLevelTypes]:
        # A stream that is no longer defined is still read: its events are there.
        definition = holder.current().streams.get(wanted.stream)
        return definition.types_of if definition else {}

    return Worker(
        subscription,
        executor=connections.blocking_executor(block_ms / 1000),
        sink=ConsoleSink(descriptor, stopping=lambda: stop.requested, colour=colour),
        say=say,
        stop=stop,
        types_of=types_of,
        drain=wanted.drain,
        count=wanted.count,
    )


def consume(worker: Worker) -> None:
    """Run the worker until it is finished or stopped, with what every long-running process does beside its work.

    Raises:
        GroupExists: when the group is there and must be new.
    """
    background.start()
    try:
        worker.run()
    finally:
        worker.leave(connections.executor())
        background.stop()


def _no_such_stream(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    if close := difflib.get_close_matches(name, names):
        hint = "Did you mean " + " or ".join(f"“{one}”" for one in close) + "?"
    elif names:
        hint = "There are: " + ", ".join(names[:20]) + (", …" if len(names) > 20 else ".")
    else:
        hint = "None is defined yet."
    return (
        f"There is no stream “{name[:100]}”. {hint} Streams are defined in the admin, or with "
        "`manage.py catalog apply FILE`."
    )
