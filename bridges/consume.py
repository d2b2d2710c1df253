"""The work of `manage.py consume`: deliver a stream's events to the console or a handler, or run bridges."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db import DatabaseError

from bridges import snapshot
from bridges.runtime import supervisor
from bridges.runtime.supervisor import Supervisor, ThreadRun
from bridges.runtime.worker_factory import open_worker
from bridges.sinks.console import ConsoleSink
from bridges.snapshot import mask_of
from streams import background_tasks, connections
from synapse.catalog.bridge_definitions import BATCH_SIZE, BridgeDefinition
from synapse.catalog.file import nearest, quote
from synapse.delivery.group_upkeep import Say
from synapse.delivery.shutdown import Interrupted, Stop
from synapse.delivery.sink import Delivery
from synapse.delivery.worker import Worker
from synapse.errors.delivery import NoSuchBridge
from synapse.filters import EventFilter
from synapse.runtime import process
from synapse.runtime.repeated_failures import RepeatedFailures
from synapse.wire.encoding import text_fields
from synapse.wire.masking import entry_row

logger = logging.getLogger(__name__)

CONSOLE_GROUP = "console"
# The length that a group's name may have.
MOST_CHARACTERS = 100
# The number of events that the console takes at a time.
CONSOLE_BATCH = 100
# The interval of the supervisor's steps in seconds; the catalog is not followed faster.
LOOK_EVERY = 0.25
# The seconds that bridges have to finish events in flight. `up` waits 20 s for its programs.
STOP_PATIENCE = 18.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeOptions:
    """The options of one `consume` command for a stream.

    `begin` is a position as `synapse.wire.ids.start_of` reads it; None continues at the group's position.

    Without a `group`, its name is the handler's path, or `console`. Without a `handler`, events are printed, with PII
    unmasked if `personal`. `filter` selects among events as they are printed or handled; others are acknowledged.
    """

    stream: str
    group: str | None = None
    consumer: str | None = None
    begin: str | None = None
    drain: bool = False
    count: int | None = None
    handler: str | None = None
    personal: bool = False
    filter: EventFilter | None = None

    @property
    def bridge(self) -> BridgeDefinition:
        """A temporary bridge with these options, which is not in the catalog."""
        name = self.handler or CONSOLE_GROUP
        return BridgeDefinition(
            name=name,
            stream=self.stream,
            group=self.group or name[:MOST_CHARACTERS],
            sink="handler" if self.handler else "console",
            config={"handler": self.handler} if self.handler else {},
            start=self.begin or "beginning",
            delivery_log="off",
            batch_size=BATCH_SIZE.default if self.handler else CONSOLE_BATCH,
        )

    def meets_filter(self, delivery: Delivery) -> bool:
        """Say whether an event matches the filter. PII that is printed masked is masked for the filter, too."""
        if self.filter is None:
            return True
        mask = None if self.handler or self.personal else mask_of(delivery)
        row = entry_row(delivery.id, text_fields(delivery.fields), delivery.entry, mask=mask)
        return self.filter.matches({**row, "stream": delivery.stream})


def worker_for(
    wanted: ConsumeOptions, *, descriptor: int, say: Say, stop: Stop, colour: bool | None = None, block_ms: int = 2000
) -> Worker:
    """Return the worker for the options of the command; the console prints to the file descriptor `descriptor`.

    Raises:
        NotDefined: when the catalog has no such stream.
        BadPosition: when `begin` is no position in a stream.
        BadConfig, SinkBroken: when the handler cannot be used.
    """
    options = {} if wanted.personal else {"mask_of": mask_of}
    console = ConsoleSink(descriptor, stopping=lambda: stop.requested, colour=colour, **options)
    return open_worker(
        wanted.bridge,
        say=say,
        stop=stop,
        sink=None if wanted.handler else console,
        consumer=wanted.consumer,
        must_be_new=wanted.begin is not None,
        drain=wanted.drain,
        count=wanted.count,
        block_ms=block_ms,
        where=wanted.meets_filter if wanted.filter else None,
    )


def run_worker(worker: Worker) -> None:
    """Run the worker until it is finished or stopped, together with the background tasks of long-running processes.

    Raises:
        GroupExists: when the group exists and must be new.
    """
    background_tasks.start()
    process.tune_garbage_collector()
    try:
        worker.run()
    finally:
        worker.leave(connections.executor())
        background_tasks.stop()


def supervisor_for(names: Sequence[str] | None, *, say: Callable[[str, str], None], drain: bool = False) -> Supervisor:
    """Return a supervisor of the bridges with these names; with None, of all. Disabled bridges do not run.

    `say` is called with a bridge's name and a line for people.

    Raises:
        NoSuchBridge: when one of the names is unknown.
    """
    known = snapshot.holder.current()
    for name in names or ():
        if name not in known:
            raise NoSuchBridge(f"There is no bridge {quote(name)}; {nearest(name, known)}")
        if not known[name].enabled:
            say(name, "It is disabled, so nothing is done for it until somebody enables it.")
        elif known[name].is_pulled:
            say(name, "Clients read its events with POST /v1/read, so nothing runs for it here.")

    def start_run(bridge: BridgeDefinition) -> ThreadRun:
        def say_once(line: str) -> None:
            # Said once, because a bridge that cannot be opened tries again for ever.
            if said.is_new(line, bridge.name):
                say(bridge.name, line)

        return ThreadRun(bridge, say=say_once, drain=drain)

    said = RepeatedFailures()
    return Supervisor(
        _follow_enabled(names, known),
        start=start_run,
        report=supervisor.make_reporter(connections.executor),
        once=drain,
    )


def run_supervisor(supervisor: Supervisor, stop: Stop) -> bool:
    """Run the bridges until a stop is requested or none will run any more. Return whether all ended in time."""
    background_tasks.start()
    process.tune_garbage_collector()
    try:
        while not (stop.requested or supervisor.is_over):
            supervisor.step()
            stop.sleep(LOOK_EVERY)
    except Interrupted:
        pass
    finally:
        ended = supervisor.stop(STOP_PATIENCE)
        background_tasks.stop()
    return ended


def _follow_enabled(
    names: Sequence[str] | None, known: Mapping[str, BridgeDefinition]
) -> Callable[[], Mapping[str, BridgeDefinition]]:
    last, failures = known, RepeatedFailures()

    def load_enabled() -> Mapping[str, BridgeDefinition]:
        nonlocal last
        try:
            last = snapshot.holder.current()
        except DatabaseError as error:
            # Bridges continue with their last known definitions while the database is unavailable.
            if failures.is_new(str(error)):
                logger.warning("the bridges cannot be loaded: %s", error)
        else:
            failures.end()
        return {
            name: bridge
            for name, bridge in last.items()
            if bridge.enabled and not bridge.is_pulled and (not names or name in names)
        }

    return load_enabled
