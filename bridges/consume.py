"""The work of `manage.py consume`: bring a stream's events to the console or a handler, or run bridges."""

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
# As long as a group's name may be.
MOST_CHARACTERS = 100
# A terminal does not need batches of a hundred.
CONSOLE_BATCH = 100
# How often the supervisor looks at its bridges, in seconds: the catalog is followed no faster.
LOOK_EVERY = 0.25
# How long bridges may take to finish events in flight. `up` waits 20 s for its programs.
STOP_PATIENCE = 18.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeOptions:
    """The options of one `consume` command: `begin` as `synapse.wire.ids.start_of` reads it, None for the group's own
    position.

    `group` None: the group of the handler's name, or `console`. `handler` None: the events are printed, with PII
    unmasked if `personal`. `filter` is about events as they are printed or handled; others are acknowledged.
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
        """Return a temporary bridge, which the catalog does not define."""
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
        """Say whether an event meets the filter. PII that is printed masked is masked for the filter, too."""
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
        BadPosition: when `begin` names no place in a stream.
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


def consume(worker: Worker) -> None:
    """Run the worker until it is finished or stopped, beside the background tasks of every long-running process.

    Raises:
        GroupExists: when the group is there and must be new.
    """
    background_tasks.start()
    process.tune_garbage_collector()
    try:
        worker.run()
    finally:
        worker.leave(connections.executor())
        background_tasks.stop()


def supervisor_for(names: Sequence[str] | None, *, say: Callable[[str, str], None], drain: bool = False) -> Supervisor:
    """Return the supervisor of the bridges with these names, of all when None. Disabled bridges do not run.

    `say` gets a bridge's name and what a person should know.

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
            say(name, "Its events are asked for with POST /v1/read: there is nothing to run.")

    def start(bridge: BridgeDefinition) -> ThreadRun:
        def say_once(line: str) -> None:
            # A bridge that cannot open tries for ever.
            if said.is_new(line, bridge.name):
                say(bridge.name, line)

        return ThreadRun(bridge, say=say_once, drain=drain)

    said = RepeatedFailures()
    return Supervisor(_enabled(names, known), start=start, report=supervisor.reporter(connections.executor), once=drain)


def supervise(supervisor: Supervisor, stop: Stop) -> bool:
    """Run the bridges until a stop is requested or all have ended for good. Return whether all ended in time."""
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


def _enabled(
    names: Sequence[str] | None, known: Mapping[str, BridgeDefinition]
) -> Callable[[], Mapping[str, BridgeDefinition]]:
    last, failures = known, RepeatedFailures()

    def wanted() -> Mapping[str, BridgeDefinition]:
        nonlocal last
        try:
            last = snapshot.holder.current()
        except DatabaseError as error:
            # Events are brought by what was known: a database that is away must not stop them.
            if failures.is_new(str(error)):
                logger.warning("the bridges cannot be loaded: %s", error)
        else:
            failures.end()
        return {
            name: bridge
            for name, bridge in last.items()
            if bridge.enabled and not bridge.is_pulled and (not names or name in names)
        }

    return wanted
