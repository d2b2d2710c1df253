"""The catalog's definitions as values: what the hot path reads instead of the database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from synapse.auth.key_rights import KeyRights
from synapse.schema.pii import Marks
from synapse.schema.validator import CompiledSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveContract:
    """A version of a contract that events are checked against."""

    subject: str
    version: int
    schema: CompiledSchema


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeDefinition:
    """An event type. The events of a type without a contract are not checked.

    `contract` is the version that counts unless an event asks for another one; `versions` are all that it may ask for,
    by number.
    """

    name: str
    owner: str = ""
    runbook: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    contract: ActiveContract | None = None
    versions: Mapping[int, ActiveContract] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDefinition:
    """A stream's definition; `max_length` is resolved: the server's default where the stream has none."""

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
    # As `synapse.catalog.summaries` reads them.
    summaries: Sequence[Mapping[str, object]] = ()
    # How long a publish waits for that safety.
    durable_within: timedelta = timedelta(seconds=0.5)
    event_types: Mapping[str, EventTypeDefinition] = field(default_factory=dict)
    # By event type: how the text of foreign entries is to be read (see synapse.wire.encoding.decode).
    types_of: Mapping[str, Mapping[str, frozenset[str]]] = field(default_factory=dict)
    # By event type, deleted event types too: the PII marks of all versions of its contract.
    marks: Mapping[str, tuple[Marks, ...]] = field(default_factory=dict)


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
    """The catalog at one version. `keys` are found by their digest, `keys_by_id` by their id.

    `former` are streams that are not defined, but of whose event types there are contracts that mark something.
    """

    version: int
    streams: Mapping[str, StreamDefinition]
    keys: Mapping[bytes, KeyDefinition] = field(default_factory=dict)
    keys_by_id: Mapping[str, KeyDefinition] = field(default_factory=dict)
    former: Mapping[str, StreamDefinition] = field(default_factory=dict)

    def shown(self, stream: str) -> StreamDefinition | None:
        """Return the definition for showing a stream's events; for a deleted stream, the remains that hold its PII
        marks."""
        return self.streams.get(stream) or self.former.get(stream)
