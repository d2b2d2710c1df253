"""The interface of sinks, which take events and report the outcome of each; the base of their settings; and `Delivery`.

The settings of a sink are a frozen dataclass beside it, read from JSON. Errors are reported by field.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.catalog.file import kind_of, nearest
from synapse.errors.delivery import BadConfig, NotBegun, SinkBroken, SinkError
from synapse.tracing.context import TraceContext
from synapse.tracing.span import Span
from synapse.wire.encoding import DecodedEntry, TopLevelTypes, pairs
from synapse.wire.fast_decoder import decode_parts
from synapse.wire.trace_context import context_of_entry

_NO_TYPES: Mapping[str, TopLevelTypes] = {}


class Delivery:
    """One attempt to deliver an event of a stream to a group.

    `attempt` counts the attempts for this event and group from 1, including those that a crash cut off. `parts` are the
    alternating names and values of its entry, as stored in Redis; `types_of` has, by event type, the types that foreign
    entries are decoded with. The entry is decoded once, on first use: a sink may do that in its own process. `token`
    identifies the lease, for the runtime alone. `span` is that of the attempt, None when it is not traced.
    """

    __slots__ = ("_entry", "_trace", "attempt", "id", "parts", "span", "stream", "token", "types_of")

    def __init__(
        self,
        *,
        stream: str,
        id: str,
        attempt: int,
        parts: Sequence[bytes],
        types_of: Mapping[str, TopLevelTypes] = _NO_TYPES,
        token: str = "",
    ) -> None:
        self.stream = stream
        self.id = id
        self.attempt = attempt
        self.parts = parts
        self.types_of = types_of
        self.token = token
        self.span: Span | None = None
        self._trace: TraceContext | None = None
        self._entry: DecodedEntry | None = None

    def __repr__(self) -> str:
        return f"Delivery({self.stream} {self.id}, attempt {self.attempt})"

    @property
    def entry(self) -> DecodedEntry:
        """The decoded event, and the metadata of its entry."""
        if self._entry is None:
            self._entry = decode_parts(self.parts, types_of=self.types_of)
        return self._entry

    @entry.setter
    def entry(self, read: DecodedEntry) -> None:
        self._entry = read

    @property
    def trace(self) -> TraceContext | None:
        """The trace context to pass to the receiver: that of the attempt, otherwise the one stored with the event; None
        without one.
        """
        if self.span is not None:
            return self.span.context
        return self._trace or context_of_entry(self.parts)

    @trace.setter
    def trace(self, context: TraceContext) -> None:
        self._trace = context

    @contextmanager
    def time_span(self) -> Iterator[None]:
        """Begin the span of the attempt, if it is traced, and end it with the block."""
        if self.span is None:
            yield
            return
        self.span.begin()
        try:
            yield
        finally:
            self.span.end()

    @property
    def fields(self) -> dict[bytes, bytes]:
        """The fields of the entry, as stored in Redis."""
        return pairs(self.parts)

    @property
    def event(self) -> dict[str, Any]:
        """The canonical event."""
        return self.entry.event

    @property
    def event_type(self) -> str:
        """The event's type, "" when the entry names none."""
        return self.entry.event_type

    @property
    def timestamp(self) -> str | None:
        """The time of the event (ISO 8601) by its publisher, or of its publishing; None when the entry has neither."""
        return self.entry.timestamp

    @property
    def source(self) -> str | None:
        """The publisher of the event, None when the entry does not name it."""
        return self.entry.source


_WORDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "nothing",
    list: "a list",
    dict: "values by their names",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """How forms show a setting of a sink. Part of the field's annotation: `url: Annotated[str, Setting("...")]`.

    Attributes:
        help: a sentence on what it does.
        names: the kind of thing that a text names (a secret or a stream), so that forms offer existing ones; "" for any
            text.
        is_given: whether another program issues the secret, so that forms do not offer to generate one.
        choices: the permitted values, each with its label; empty for any text.
        is_advanced: whether the setting is rarely needed, so that forms collapse it.
    """

    help: str = ""
    names: Literal["", "secret", "stream"] = ""
    is_given: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)
    is_advanced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkConfig:
    """The base of the settings of a sink. Field types: `str`, `int`, `float`, `bool`, lists of these, mappings of names
    to these or to `Any`, each optionally with `| None`.
    """

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Parse settings from JSON.

        Raises:
            BadConfig: with a sentence for each wrong field.
        """
        errors = dict(cls._type_errors(values))
        if not errors:
            config = cls(**values)
            errors = dict(config.find_errors())
        if errors:
            raise BadConfig(errors)
        return config

    def find_errors(self) -> Iterator[tuple[str, str]]:
        """Yield errors other than wrong types, each as a field and a sentence. Subclasses override it."""
        return iter(())

    def streams(self) -> Mapping[str, str]:
        """Return the streams that the sink writes to, by the setting that names each."""
        return {}

    @classmethod
    def _type_errors(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        hints = get_type_hints(cls)
        known = [each.name for each in fields(cls)]
        for name in values:
            if name not in known:
                yield name[:100], f"there is no such setting; {nearest(name, known)}"
        for each in fields(cls):
            if each.name not in values:
                if each.default is MISSING and each.default_factory is MISSING:
                    yield each.name, "is missing"
            elif wrong := _describe_type_error(hints[each.name], values[each.name]):
                yield each.name, wrong


def _describe_type_error(hint: Any, value: Any) -> str:
    """Return a description of how a value differs from a type, "" if it does not."""
    alternatives = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    kinds = {get_origin(one) or one: get_args(one) for one in alternatives}
    if type(value) not in kinds:
        return f"must be {' or '.join(_WORDS[kind] for kind in kinds)}, but is {kind_of(value)}"
    inner = kinds[type(value)][-1] if kinds[type(value)] else Any
    if inner is Any:
        return ""
    parts = value.values() if isinstance(value, dict) else value
    wrong = [part for part in parts if type(part) is not inner]
    return f"must hold nothing but {_WORDS[inner]}, but holds {kind_of(wrong[0])}" if wrong else ""


# None: the sink took the event, which the bridge then acknowledges.
Outcome = SinkError | None
MayBegin = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOutResult:
    """The result of a test event: whether the sink took it, after how many milliseconds, and the receiver's answer.

    `status` is None without an answer. `said` is the error, "" without one; `text` is the beginning of the answer.
    """

    is_taken: bool
    ms: int
    status: int | None = None
    said: str = ""
    text: str = ""


class Sink(ABC):
    """The base of sinks: takes batches of events."""

    # Its name in forms, and a sentence on where events go.
    label: ClassVar[str] = ""
    about: ClassVar[str] = ""
    # Whether `try_out` is implemented, which delivers a test event that is in no stream.
    can_try_out: ClassVar[bool] = False
    # Its settings: a subclass of SinkConfig.
    Config: ClassVar[type[SinkConfig]] = SinkConfig
    # The most events in flight at once, if its settings limit them; None: as many as the bridge allows.
    at_once: int | None = None

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        """Open the sink of a bridge, ready to take events. `config` is a `cls.Config`.

        `stopping` says whether the process was asked to stop: then the sink must not wait. `bridge.concurrency` is the
        number of events that the sink may have in flight at once; batches have at least that many, if there are enough.

        Raises:
            BadConfig: when its settings turn out to be unusable.
            SinkBroken: when it cannot be opened.
        """
        raise NotImplementedError

    @abstractmethod
    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        """Deliver the events, in this order. Return the outcome of each.

        Once `may_begin` returns False, no further event is begun: the outcome of the rest is NotBegun. Events that were
        begun are finished. Any exception means that no event was taken, and that a retry may succeed. SinkDisabled as
        an outcome disables the bridge.

        Raises:
            SinkAway: when the sink is unavailable now. Then none of the events was begun.
        """

    def try_out(self, delivery: Delivery) -> TryOutResult:
        """Deliver a test event, and return the result.

        Raises:
            SinkAway: when the sink can take no event now.
        """
        raise NotImplementedError

    def is_gone(self) -> bool:
        """Say whether the sink takes no more events: then no more are read for it."""
        return False

    def close(self) -> None:
        """Release the resources of the sink."""
        return


class OneByOne(Sink):
    """A sink that takes one event at a time; the outcome of one event does not affect the others."""

    @abstractmethod
    def take(self, delivery: Delivery) -> None:
        """Take one event.

        Raises:
            SinkError: when it was not taken. Any other exception means that it was not taken, and that a retry may
                succeed.
        """

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        return [self._try_take(delivery) if may_begin() else NotBegun() for delivery in batch]

    def _try_take(self, delivery: Delivery) -> Outcome:
        try:
            with delivery.time_span():
                self.take(delivery)
        except SinkError as error:
            return error
        except Exception as error:
            return SinkError(f"{type(error).__name__}: {error}", failure="exception")
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullConfig(SinkConfig):
    """The settings of a pull sink, which has none: readers pass their options with each request."""


class PullSink(Sink):
    """The sink of groups that clients read with POST /v1/read. It is never opened, since nothing is pushed anywhere."""

    label = "Pulled over HTTP"
    about = "Programs ask for the events with POST /v1/read; nothing runs here."
    Config = PullConfig

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        raise SinkBroken("Clients read its events with POST /v1/read, so nothing runs for it here.")

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        return [NotBegun() for _ in batch]
