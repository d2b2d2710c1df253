"""Drafts from traffic: a schema that the newest events of a type suggest."""

from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from synapse.auth.principal import Principal
from synapse.catalog.stream_definitions import Snapshot
from synapse.errors.streams import NoEvents
from synapse.inspection.recent_events import ScanReport, find_stream, scan_newest
from synapse.redis import Conversation
from synapse.schema.inference import Observation, propose
from synapse.schema.validator import canonical_text
from synapse.wire.masking import hiding


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A schema that accepts the events it was made from.

    `active` is the text of the version that events are checked against now, and `active_version` its number; both are
    None when the type has no such version. `difference` has the lines of a unified diff from that version to the
    proposal, none when the two are equivalent.
    """

    stream: str
    event_type: str
    scan: ScanReport
    document: dict[str, Any]
    active_version: int | None
    active: str | None

    @property
    def text(self) -> str:
        """The text of the proposed schema, as it would be saved."""
        return canonical_text(self.document)

    @property
    def difference(self) -> list[str]:
        """The changes from the active version to the proposal."""
        if self.active is None:
            return []
        name = f"version {self.active_version}"
        return list(unified_diff(self.active.splitlines(), self.text.splitlines(), name, "proposal", lineterm=""))

    def as_dict(self) -> dict[str, Any]:
        """Return the proposal as JSON."""
        return {
            "stream": self.stream,
            "event_type": self.event_type,
            "active_version": self.active_version,
            **self.scan.as_dict(),
            "schema": self.document,
            "difference": self.difference,
        }


def draft_schema(
    catalog: Snapshot, stream: str, event_type: str, *, by: Principal, last: int
) -> Conversation[Proposal]:
    """Propose a schema from the newest events of a type, at most `last`.

    The type need not be defined: a stream may carry undefined types. Descriptions and the order of properties come
    from the active version. If `by` may not see PII, the proposal is inferred from masked events.

    Raises:
        UnknownStream: when no stream of this name is defined.
        NoEvents: when no event of the type was found.
    """
    definition = find_stream(catalog, stream)
    seen = Observation()
    scan = yield from scan_newest(
        stream,
        event_type,
        last=last,
        types_of=definition.types_of,
        see=lambda _, decoded: seen.see(decoded.event),
        hide=hiding(definition, by.rights),
    )
    if not scan.events:
        raise NoEvents(stream, event_type, scan.scanned)
    kind = definition.event_types.get(event_type)
    active = None if kind is None else kind.contract
    return Proposal(
        stream=stream,
        event_type=event_type,
        scan=scan,
        document=propose(
            seen,
            event_type,
            like=None if active is None else active.schema.document,
            marks=None if active is None else active.schema.personal,
            # When the events of this type hold PII, no value is quoted.
            quotes=not definition.marks.get(event_type),
        ),
        active_version=None if active is None else active.version,
        active=None if active is None else canonical_text(active.schema.document),
    )
