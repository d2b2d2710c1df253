"""Models of the responses about streams, their messages and their groups."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, WithJsonSchema, create_model
from typing_extensions import TypeAliasType

from synapse.catalog import fields, ownership
from synapse.catalog.stream_definitions import STREAM_FIELDS
from synapse.endpoints import Answer, about, maybe

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_ENTRY = {
    "type": ["array", "null"],
    "prefixItems": [{"type": "string"}, _TEXTS],
    "minItems": 2,
    "maxItems": 2,
    "description": "The id of an entry and its fields as text; null when there is none.",
}
# Named, so that the OpenAPI document defines it once.
EntryPair = TypeAliasType("EntryPair", Annotated[list[Any] | None, WithJsonSchema(_ENTRY)])
Texts = Annotated[dict[str, str], WithJsonSchema(_TEXTS)]
_REASONS = "The refused events by the last part of the problem's type, such as `stream-full`."


class EventType(Answer):
    """An event type of a stream."""

    name: str
    owner: str = about(ownership.OWNER.help)
    runbook: str = about(ownership.RUNBOOK.help)
    labels: dict[str, str] = about(ownership.LABELS.help)
    contract: str | None = about("The subject of its contract.")
    contract_version: int | None = about("The version that events are checked against.")


class Counters(Answer):
    """Synapse's counters since the stream was defined."""

    published: int
    refused: int
    warned: int
    unregistered: int
    duplicates: int


M = TypeVar("M", bound=Answer)
_TYPES = {
    fields.Choice: str,
    fields.Text: str,
    fields.Line: str,
    fields.Link: str,
    fields.Labels: dict[str, str],
    fields.EventTypes: dict[str, str],
    fields.Names: list[str],
    fields.Count: int,
    fields.Duration: float,
    fields.Flag: bool,
}


def _with_settings(model: type[M]) -> type[M]:
    """Add the settings of a stream as fields to a response model (class decorator)."""
    settings: dict[str, Any] = {}
    for field in STREAM_FIELDS:
        kind: Any = _TYPES.get(type(field), list[dict[str, Any]])
        described = field.help
        if isinstance(field, fields.Choice):
            described = f"{', '.join(field.words[:-1])} or {field.words[-1]}. {field.help}".rstrip()
        elif isinstance(field, fields.Duration):
            described = "Seconds."
        settings[field.name] = (kind | None if field.default is None else kind, about(described))
    own = {name: (each.annotation, each) for name, each in model.model_fields.items()}
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, __module__=__name__, **settings | own)


@_with_settings
class Definition(Answer):
    """A stream's definition."""

    name: str
    max_length: int = about("How many events are kept.")
    event_types: list[EventType]
    counters: Counters
    refused_by_reason: dict[str, int] = about(_REASONS)


class Figures(Answer):
    """Statistics of a stream from Redis."""

    name: str
    length: int = about("How many entries the stream holds.")
    groups: int = about("How many consumer groups it has.")
    first_entry: EntryPair
    last_entry: EntryPair
    counters: Counters = about("Synapse's counters of the stream.")
    refused_by_reason: dict[str, int] = about(_REASONS)
    error: str = maybe("Why this stream could not be read from Redis.")


class Stream(Figures, Definition):
    """A stream's definition and statistics."""


class Streams(Answer):
    """All streams, by name."""

    streams: list[Stream]


class Info(Answer):
    """The reply of XINFO STREAM with Redis' own names, and Synapse's own data."""

    length: int
    groups: int
    radix_tree_keys: int = Field(alias="radix-tree-keys")
    radix_tree_nodes: int = Field(alias="radix-tree-nodes")
    entries_added: int = Field(alias="entries-added")
    last_generated_id: str = Field(alias="last-generated-id")
    max_deleted_entry_id: str = Field(alias="max-deleted-entry-id")
    recorded_first_entry_id: str = Field(alias="recorded-first-entry-id")
    first_entry: EntryPair = Field(alias="first-entry")
    last_entry: EntryPair = Field(alias="last-entry")
    synapse: Definition


class Message(Answer):
    """An entry of a stream, and the event decoded from it."""

    id: str
    data: Texts = about("The entry's fields, as stored in Redis.")
    event: dict[str, Any] = about("The event that the entry means.")
    event_type: str | None
    timestamp: str | None
    source: str | None
    contract_version: int | None
    layout: str = about("flat or dual (written by Synapse), envelope or foreign (by other programs).")
    cloudevent: dict[str, Any] = maybe("The context attributes of an event that came as a CloudEvent.")


class OneMessage(Message):
    """An entry of a stream, and the event decoded from it."""

    stream: str


class Messages(Answer):
    """A page of messages."""

    stream: str
    messages: list[Message]
    order: str = about("newest or oldest first.")
    next: str | None = about("The value of `before` (newest first) or `after` (oldest first) for the next page.")
    scanned: int = about("How many entries were looked at.")
    complete: bool = about("False when the page ended early because enough had been looked at.")


class Member(Answer):
    """A consumer of a group."""

    name: str
    pending: int
    idle_seconds: float


class Owner(Answer):
    """The owner of a group."""

    kind: Literal["bridge", "pull"] = about("bridge: one brings its events; pull: programs fetch them.")
    name: str = about("The bridge's name.")
    enabled: bool
    paused: bool
    owner: str = about(ownership.OWNER.help)
    runbook: str = about(ownership.RUNBOOK.help)
    labels: dict[str, str] = about(ownership.LABELS.help)


class Group(Answer):
    """A consumer group, its backlog, and its lag."""

    name: str
    belongs_to: Owner | None = about("Null: an external program's.")
    consumers: int
    last_delivered_id: str
    lag: int = about("Events that the group has not read yet.")
    lag_exact: bool = about("False when there are more: the counting stopped.")
    lag_seconds: float = about("Age of the oldest of them.")
    pending: int = about("Read, and in flight.")
    waiting: int = about("Scheduled for retry, or being retried.")
    parked: int = about("Blocked by another event of their key.")
    dead: int = about("Dead letters.")
    oldest_seconds: float = about("Age of the oldest event that is unread, pending or waiting; 0: none is.")
    oldest_exact: bool = about("False when more than 1,000 wait: only the first of them were looked at.")
    lost_trimmed: int = about("Events that were trimmed from the stream before the group had acknowledged them.")
    lost_silent: int = about("Events that were trimmed while the group was silent for too long.")
    skipped: int = about("Events that the group was moved past.")
    members: list[Member]


class Groups(Answer):
    """The consumer groups of a stream."""

    stream: str
    groups: list[Group]
