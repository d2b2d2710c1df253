"""Creates workers and sinks from the definitions of bridges."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from bridges import auto_disable
from bridges.sinks import registry
from bridges.snapshot import mask_of
from streams import connections
from streams.snapshot import holder
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.catalog.filters import all_hold
from synapse.delivery import membership
from synapse.delivery.group_upkeep import Say
from synapse.delivery.membership import Subscription
from synapse.delivery.retry import Policy
from synapse.delivery.shutdown import Stop
from synapse.delivery.sink import Delivery, Sink
from synapse.delivery.worker import IDLE_BLOCK_MS, Worker
from synapse.errors.delivery import NotDefined
from synapse.publishing.counters import Lasted
from synapse.wire.encoding import TopLevelTypes
from synapse.wire.ids import start_of


def open_sink(bridge: BridgeDefinition, stop: Stop) -> Sink:
    """Return the sink of a bridge, ready to take events.

    Raises:
        BadConfig: when its settings are invalid.
        SinkBroken: when the sink cannot be opened.
    """
    kind = registry.find_sink(bridge.sink)
    return kind.open(kind.Config.read(bridge.config), bridge, stopping=lambda: stop.requested)


def open_worker(
    bridge: BridgeDefinition,
    *,
    say: Say,
    stop: Stop,
    sink: Sink | None = None,
    consumer: str | None = None,
    must_be_new: bool = False,
    drain: bool = False,
    count: int | None = None,
    block_ms: int = 2000,
    where: Callable[[Delivery], bool] | None = None,
) -> Worker:
    """Return a worker for a bridge, with its own connection to Redis.

    Without `sink` and `where`, they follow from the bridge's definition. The other parameters are options of `Worker`.

    Raises:
        NotDefined: when the catalog has no such stream.
        BadPosition: when the bridge's `start` is no position in a stream.
        BadConfig, SinkBroken: as `open_sink` does.
    """
    known = holder.current().streams
    if bridge.stream not in known:
        raise NotDefined(_no_such_stream(bridge.stream, known))
    subscription = Subscription(
        stream=bridge.stream,
        group=bridge.group,
        consumer=consumer or membership.new_consumer_name(),
        start=start_of(bridge.start, now=datetime.now(UTC)),
        must_be_new=must_be_new,
        owned=bridge.pk is not None,
        lease_ms=int(bridge.lease_seconds * 1000),
        batch=bridge.batch_size,
        block_ms=block_ms,
        order=bridge.order,
        order_key=bridge.order_key,
        retry=Policy.from_definition(bridge),
        delivery_log=bridge.delivery_log,
        tracing=bridge.tracing,
    )

    def types_of() -> Mapping[str, TopLevelTypes]:
        # A stream that is no longer defined is still read, because its events exist.
        definition = holder.current().streams.get(bridge.stream)
        return definition.types_of if definition else {}

    def observe(what: Lasted, seconds: float, times: int) -> None:
        connections.counters.observe(bridge.stream, what, seconds, group=bridge.group, times=times)

    sink = sink or open_sink(bridge, stop)
    return Worker(
        subscription,
        executor=connections.blocking_executor(max(block_ms, IDLE_BLOCK_MS) / 1000),
        sink=sink,
        say=say,
        stop=stop,
        types_of=types_of,
        impersonal=_mask_text,
        only=bridge.event_types,
        where=where or _predicate_of(bridge),
        together=sink.at_once or bridge.concurrency,
        rate=bridge.rate_limit,
        paused=bridge.paused,
        disable=partial(auto_disable.disable_bridge, bridge),
        drain=drain,
        count=count,
        observe=observe,
    )


def _predicate_of(bridge: BridgeDefinition) -> Callable[[Delivery], bool] | None:
    return (lambda delivery: all_hold(bridge.filters, delivery.event)) if bridge.filters else None


def _mask_text(text: str, delivery: Delivery) -> str:
    mask = mask_of(delivery)
    return text if mask is None else mask.text(text, delivery.event)


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
