"""The settings of a stream, in the order of files, forms and answers, and the catalog's definitions as values.

The fast path reads these values, never the database.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from synapse.auth.key_rights import KeyRights
from synapse.catalog import ownership
from synapse.catalog.fields import ADVANCED, Choice, Count, Duration, EventTypes, Names, Rows, Text, declared_fields
from synapse.schema.pii import Marks
from synapse.schema.validator import CompiledSchema

_EVENTS, _KEEPING = "Events", "How long they are kept"

PURPOSE = Text("purpose", help="The purpose of the stream.")
OWNER, RUNBOOK, LABELS = ownership.OWNER, ownership.RUNBOOK, ownership.LABELS
LAYOUT = Choice(
    "layout",
    section=ADVANCED,
    default="flat",
    choices={"flat": "flat: one field a property", "dual": "dual: flat, and one typed copy in payload"},
    help="The format of an event in Redis.",
)
ENFORCEMENT = Choice(
    "enforcement",
    section=_EVENTS,
    default="enforce",
    choices={
        "enforce": "enforce: refuse what breaks its contract",
        "warn": "warn: accept it and count it",
        "off": "off: check nothing",
    },
    help="The treatment of an event that breaks its contract.",
)
UNKNOWN_EVENT_TYPES = Choice(
    "unknown_event_types",
    section=ADVANCED,
    default="accept",
    choices={"accept": "accept events of types that are not defined here", "reject": "reject them"},
)
MAX_LENGTH = Count(
    "max_length",
    section=_KEEPING,
    help="How many events are kept; empty for the server's default. Events that a group has not acknowledged stay.",
)
MAX_AGE = Duration(
    "max_age",
    section=_KEEPING,
    least=timedelta(seconds=1),
    most=timedelta(days=36_500),
    refusals=(
        "Events must be kept for a second or longer.",
        "A hundred years (36,500 days) are the longest; leave it empty for no limit.",
    ),
    help="How long events are kept, as “7 00:00:00” for seven days; empty for no limit.",
)
HARD_LENGTH = Count(
    "hard_length",
    section=ADVANCED,
    default=1_000_000,
    help="The length at which “when full” decides, regardless of unacknowledged events.",
)
WHEN_FULL = Choice(
    "when_full",
    section=ADVANCED,
    default="drop_oldest",
    choices={"drop_oldest": "drop the oldest events, even unread ones", "reject": "refuse new events"},
)
IDEMPOTENCY_WINDOW = Duration(
    "idempotency_window",
    section=ADVANCED,
    default=timedelta(days=1),
    least=timedelta(minutes=1),
    most=timedelta(days=7),
    refusals=("Idempotency keys are remembered for a minute to seven days.",) * 2,
    help="How long an Idempotency-Key is remembered, a minute to seven days; about 0.25 KB of Redis each.",
)
IDEMPOTENCY_KEY = Choice(
    "idempotency_key",
    section=ADVANCED,
    default="optional",
    choices={
        "optional": "optional: events may come without one",
        "required": "required: events without one are refused",
    },
    help="Whether publishers must send an Idempotency-Key.",
)
DURABILITY = Choice(
    "durability",
    section=ADVANCED,
    default="server",
    choices={
        "server": "server: as Redis is set up",
        "local": "local: when it is on Redis' disk",
        "replicated": "replicated: when replicas have it",
    },
    help="When a publisher is told that its event is stored.",
)
REPLICAS = Count(
    "replicas",
    section=ADVANCED,
    default=1,
    most=100,
    help="How many replicas must have it, where durability is “replicated”.",
)
CORRELATION = Names(
    "correlation",
    section=ADVANCED,
    default=("correlation_id", "request_id"),
    most=5,
    longest=100,
    help="Top-level properties by whose values an event is found, beside its trace id; without any it is found by its "
    "entry id and Idempotency-Key alone.",
)

CLOUDEVENTS_TYPES = EventTypes(
    "cloudevents_types",
    section=ADVANCED,
    most=100,
    longest_name=200,
    longest_text=100,
    help="Event types by the “type” of CloudEvents, where these differ, such as com.example.placed: placed.",
)

SUMMARIES = Rows(
    "summaries",
    section=ADVANCED,
    help="The summaries of its archived events in the admin: how often work completed and failed, and a measure of it.",
)

STREAM_FIELDS = declared_fields(globals())


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveContract:
    """A version of a contract that events are checked against."""

    subject: str
    version: int
    schema: CompiledSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeDefinition:
    """An event type. The events of a type without a contract are not checked.

    `contract` is the version that events are checked against by default; `versions` has all versions that an event may
    ask for, by number.
    """

    name: str
    owner: str = ""
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    contract: ActiveContract | None = None
    versions: Mapping[int, ActiveContract] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class StreamDefinition:
    """A stream's definition; `max_length` includes the server's default, for a stream without one."""

    name: str
    purpose: str = ""
    owner: str = ""
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    layout: Literal["flat", "dual"] = "flat"
    enforcement: Literal["enforce", "warn", "off"] = "enforce"
    unknown_event_types: Literal["accept", "reject"] = "accept"
    max_length: int = 100_000
    max_age: timedelta | None = None
    hard_length: int = 1_000_000
    when_full: Literal["drop_oldest", "reject"] = "drop_oldest"
    idempotency_window: timedelta = timedelta(days=1)
    idempotency_key: Literal["optional", "required"] = "optional"
    durability: Literal["server", "local", "replicated"] = "server"
    replicas: int = 1
    correlation: Sequence[str] = CORRELATION.default
    cloudevents_types: Mapping[str, str] = field(default_factory=dict)
    # JSON, which `synapse.catalog.summaries` parses.
    summaries: Sequence[Mapping[str, object]] = ()
    # How long a publish waits for the durability.
    durable_within: timedelta = timedelta(seconds=0.5)
    event_types: Mapping[str, EventTypeDefinition] = field(default_factory=dict)
    # By event type: the JSON types of top-level properties, with which the texts of foreign entries are decoded (see
    # synapse.wire.encoding).
    types_of: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    # By event type, including deleted ones: the PII marks of all versions of its contract.
    marks: Mapping[str, tuple[Marks, ...]] = field(default_factory=dict)

    @property
    def refused_length(self) -> int:
        """The length at which a publish is refused; 0 for a stream that drops its oldest events instead."""
        return self.hard_length if self.when_full == "reject" else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDefinition:
    """A key that was not revoked. `digest` is the SHA-256 of its text; `expires` in seconds since 1970, None: never."""

    id: str
    service: str
    digest: bytes
    expires: float | None
    rights: KeyRights


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The catalog at one version. `keys` are by digest, `keys_by_id` by id.

    `former` has deleted streams whose event types have contracts with PII marks. `public_url` is the URL of this
    installation for people and programs, "" if it is not set.
    """

    version: int
    streams: Mapping[str, StreamDefinition]
    keys: Mapping[bytes, KeyDefinition] = field(default_factory=dict)
    keys_by_id: Mapping[str, KeyDefinition] = field(default_factory=dict)
    former: Mapping[str, StreamDefinition] = field(default_factory=dict)
    public_url: str = ""

    def display_definition(self, stream: str) -> StreamDefinition | None:
        """Return the definition to show a stream's events with. That of a deleted stream has only the PII marks."""
        return self.streams.get(stream) or self.former.get(stream)
