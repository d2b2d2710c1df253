"""A sink that publishes each event once to another stream of the catalog, by the rules of that stream."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from bridges import copies
from streams import connections
from streams.snapshot import holder as catalog
from synapse.auth.principal import Principal
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.delivery.sink import Delivery, MayBegin, Outcome, Setting, Sink, SinkConfig
from synapse.errors.contracts import SandboxBusy
from synapse.errors.delivery import NotBegun, SinkAway, SinkBroken, SinkError
from synapse.errors.streams import StreamFull
from synapse.formats.text import ALERTS_STREAM, RULE, cut, is_name
from synapse.problems import Problem
from synapse.publishing import body, deferred_validation, storage
from synapse.publishing.validation import Accepted
from synapse.redis import Command, RedisUnavailable, ReplyError
from synapse.redis.commands.publishing import StoreResult
from synapse.tracing import attributes, switch
from synapse.tracing.span import Span
from synapse.wire.encoding import OWN_PREFIX

_TYPE_NAMES = ("event_type", "event")


# The number of events that are sent to Redis together, so that its reply comes within the timeout.
_AT_ONCE = 100
# The seconds after which a full stream is tried again.
FULL_WAIT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfig(SinkConfig):
    """`stream`: the target stream. The other settings change the copied events.

    First only the properties in `keep` stay (None keeps all), or those in `drop` are removed; then `rename` (old name
    to new) and `set` apply. `event_type` replaces the type; None keeps it. The type cannot be dropped.
    """

    stream: Annotated[str, Setting("Where the events go.", names="stream")]
    event_type: Annotated[str | None, Setting("Their type there; empty keeps what they have.")] = None
    keep: Annotated[list[str] | None, Setting("Only these properties go along; empty means all.", is_advanced=True)] = (
        None
    )
    drop: Annotated[list[str], Setting("Properties that are left out.", is_advanced=True)] = field(default_factory=list)
    rename: Annotated[dict[str, str], Setting("Properties, and their names there.", is_advanced=True)] = field(
        default_factory=dict
    )
    set: Annotated[dict[str, Any], Setting("Properties, and the values that they get, as JSON.", is_advanced=True)] = (
        field(default_factory=dict)
    )

    def find_errors(self) -> Iterator[tuple[str, str]]:
        if not is_name(self.stream):
            yield "stream", f"is no stream's name: it has {RULE}"
        if self.stream == ALERTS_STREAM:
            yield "stream", "is the stream of alerts, which takes events from Synapse alone"
        if self.event_type == "":
            yield "event_type", "must be a type, or left out to keep what the event has"
        elif self.event_type and not is_name(self.event_type):
            yield "event_type", f"is no event type: a name has {RULE}"
        if self.keep is not None and self.drop:
            yield "drop", "is of no use beside keep: what is not kept is dropped"
        if len(frozenset(self.rename.values())) < len(self.rename):
            yield "rename", "gives two properties one name"
        names = {
            "keep": self.keep or (),
            "drop": self.drop,
            "rename": [*self.rename, *self.rename.values()],
            "set": self.set,
        }
        for setting, used in names.items():
            if wrong := next((name for name in used if name in _TYPE_NAMES), None):
                yield setting, f"must not name {wrong}: the setting event_type gives another type"
            elif wrong := next((name for name in used if name.startswith(OWN_PREFIX)), None):
                yield setting, f"must not name {wrong[:100]}: names that begin with {OWN_PREFIX} are Synapse's own"

    def streams(self) -> Mapping[str, str]:
        return {"stream": self.stream}

    @property
    def changes_events(self) -> bool:
        """Whether the settings may change events."""
        return bool(self.event_type or self.keep is not None or self.drop or self.rename or self.set)

    def map_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event with the settings applied."""
        kept = {
            name: value
            for name, value in event.items()
            if name in _TYPE_NAMES or ((self.keep is None or name in self.keep) and name not in self.drop)
        }
        moved = {self.rename[name]: kept.pop(name) for name in self.rename if name in kept}
        mapped = {**kept, **moved, **self.set}
        if not self.event_type:
            return mapped
        mapped.pop("event", None)
        # The type comes first, as in every event that Synapse writes.
        mapped.pop("event_type", None)
        return {"event_type": self.event_type, **mapped}


class StreamSink(Sink):
    """Publishes to another stream. An event that is delivered twice is stored once: storing it again succeeds without
    effect.

    An event that already came through the target stream is not copied, so that events of two streams that feed each
    other do not go in circles.
    """

    label = "Another stream"
    about = "Publishes each event to another stream, with properties left out, renamed or set."
    Config = StreamConfig

    def __init__(self, config: StreamConfig, bridge: BridgeDefinition) -> None:
        self._config = config
        self._bridge = bridge
        self._principal = Principal(kind="system", name=f"bridge {bridge.name}")

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        if config.stream == bridge.stream:
            raise SinkBroken(f"“{config.stream}” is the stream that the bridge reads: its events would go in circles.")
        sink = cls(config, bridge)
        try:
            sink._find_target()
        except SinkAway as away:
            raise SinkBroken(f"{away}.") from away
        return sink

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        outcomes: list[Outcome] = []
        while len(outcomes) < len(batch) and may_begin():
            outcomes += self._deliver_part(batch[len(outcomes) : len(outcomes) + _AT_ONCE])
        return outcomes + [NotBegun() for _ in batch[len(outcomes) :]]

    def _deliver_part(self, batch: Sequence[Delivery]) -> list[Outcome]:
        target = self._find_target()
        outcomes: list[Outcome] = [None] * len(batch)
        prepared: dict[int, tuple[Accepted, Command]] = {}
        spans = self._start_spans(target, batch)
        for place, delivery in enumerate(batch):
            trail = copies.trail_of(delivery)
            try:
                if self._config.stream not in trail:
                    accepted = self._accept_event(target, delivery)
                    copy = copies.Copy(
                        target=target,
                        original=delivery,
                        accepted=accepted,
                        trail=[*trail, delivery.stream],
                        trace=spans[place].context if place in spans else delivery.trace,
                        is_changed=self._config.changes_events,
                    )
                    prepared[place] = accepted, copy.store_command(self._bridge)
            except SinkError as error:
                outcomes[place] = error
        replies, unsafe = self._send_commands(target, [command for _, command in prepared.values()])
        for (place, (accepted, _)), reply in zip(prepared.items(), replies, strict=True):
            outcomes[place] = self._outcome_of(target, reply) or unsafe
            if isinstance(reply, StoreResult) and reply.outcome == "stored":
                _count_published(target, accepted)
                _finish_span(spans.get(place), reply.id)
        return outcomes

    @staticmethod
    def _start_spans(target: StreamDefinition, batch: Sequence[Delivery]) -> dict[int, Span]:
        """Start publishing spans for the traced events of a batch. Return them by index."""
        if (tracer := switch.tracer) is None:
            return {}
        return {
            place: tracer.start_forward(target.name, delivery.span)
            for place, delivery in enumerate(batch)
            if delivery.span is not None
        }

    def _find_target(self) -> StreamDefinition:
        """Return the current definition of the target stream.

        Raises:
            SinkAway: when it is not defined.
        """
        target = catalog.current().streams.get(self._config.stream)
        if target is None:
            raise SinkAway(f"There is no stream “{self._config.stream}” to send events to")
        return target

    def _accept_event(self, target: StreamDefinition, delivery: Delivery) -> Accepted:
        """Return the event as the target stream stores it.

        Raises:
            SinkError: when the target stream refuses it.
            SinkAway: when too many events are being checked in the sandbox.
        """
        try:
            event = body.within_limits(self._config.map_event(delivery.event))
            return deferred_validation.check_in_thread(target, event)
        except SandboxBusy as busy:
            raise SinkAway(_join_lines(busy)) from busy
        except Problem as problem:
            connections.counters.note_refused(target, problem, self._principal)
            raise SinkError(
                f"“{self._config.stream}” does not take it: {_join_lines(problem)}", permanent=True
            ) from problem

    def _send_commands(
        self, target: StreamDefinition, commands: Sequence[Command]
    ) -> tuple[list[Any], SinkError | None]:
        """Send the commands. Return their replies, and an error when the writes are less durable than the stream
        demands. Commands with an unknown outcome can be sent again, because each acts only once.

        Raises:
            SinkAway: when Redis cannot be used.
        """
        barrier = storage.barrier_of(target) if commands else None
        try:
            replies = connections.executor_for(target).execute([*commands, barrier] if barrier else commands)
        except RedisUnavailable as problem:
            raise SinkAway(problem.detail.rstrip(".")) from problem
        why = storage.shortfall(target, replies.pop()) if barrier else ""
        return replies, SinkError(f"“{self._config.stream}” may have it, but {why}") if why else None

    def _outcome_of(self, target: StreamDefinition, reply: StoreResult | ReplyError) -> Outcome:
        if isinstance(reply, ReplyError):
            if reply.code == "WRONGTYPE":
                return SinkError(f"The Redis key “{self._config.stream}” does not hold a stream")
            return SinkError(f"Redis did not store it: {reply}")
        if reply.outcome == "full":
            text = f"“{target.name}” is full and takes no more"
            connections.counters.note_refused(target, StreamFull(f"{text}."), self._principal)
            return SinkError(text, retry_after=FULL_WAIT)
        if reply.outcome == "conflict":
            return SinkError(f"“{self._config.stream}” has something else under the key of this event", permanent=True)
        return None


def _finish_span(span: Span | None, id_: str) -> None:
    """Finish the span of an event that was stored."""
    if span is not None and switch.tracer is not None:
        span.attributes[attributes.MESSAGE_ID] = id_
        switch.tracer.finish(span)


def _count_published(target: StreamDefinition, accepted: Accepted) -> None:
    connections.counters.add(target.name, "published")
    if accepted.warnings:
        connections.counters.add(target.name, "warned")
    if not accepted.registered:
        connections.counters.add(target.name, "unregistered")


def _join_lines(problem: Problem) -> str:
    return cut(" ".join(problem.detail.split()).rstrip("."), 1000)
