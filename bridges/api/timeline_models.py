"""Models and the example of the answer about the timeline of an event."""

from datetime import datetime
from typing import Any, Literal, get_args

from pydantic import Field

from synapse.endpoints import Answer, Violation, about
from synapse.inspection.answers import Owner
from synapse.inspection.event_history import ChangeName
from synapse.inspection.places import PlaceName

EXAMPLE: dict[str, Any] = {
    "stream": "inference-events",
    "id": "1795432838408-0",
    "stored_at": "2026-11-23T11:20:38.408Z",
    "is_in_stream": True,
    "event_type": "inference-complete",
    "source": "cyrex",
    "contract_version": 1,
    "warnings": [],
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "cloudevent": None,
    "came_through": [],
    "groups": [
        {
            "group": "hooks",
            "belongs_to": {
                "kind": "bridge",
                "name": "inference-to-hooks",
                "enabled": True,
                "paused": False,
                "owner": "ml-platform",
                "runbook": "",
                "labels": {},
            },
            "place": "scheduled",
            "certain": True,
            "meaning": "Its next attempt is scheduled.",
            "consumer": None,
            "deliveries": 1,
            "since": None,
            "due_at": "2026-11-23T11:20:43.620Z",
            "blocked_by": None,
            "ahead": None,
            "attempts": [
                {
                    "at": "2026-11-23T11:20:38.620Z",
                    "number": 1,
                    "took_ms": 212,
                    "outcome": "failed",
                    "worker": "shop-1:4711:0f3a9c21",
                    "kind": "http-5xx",
                    "status": 500,
                    "error": "https://hooks.example.com/ answered 500 Internal Server Error",
                }
            ],
            "changes": [],
            "dead_letters": [],
            "dead_letters_complete": True,
        }
    ],
    "groups_complete": True,
    "copies": [{"bridge": "inference-to-audit", "stream": "audit-events", "id": "1795432838431-0"}],
    "archived": [{"bridge": "archive-inference-events", "at": "2026-11-23T11:20:38.470Z"}],
}


class TimelineAttempt(Answer):
    """An attempt to deliver the event."""

    at: datetime | None = about("When the attempt ended.")
    number: int | None = about("From 1; null when it is unknown.")
    took_ms: int | None = about("Null when that is unknown.")
    outcome: Literal["done", "failed", "silent"] = about("silent: the consumer never reported how the attempt ended.")
    worker: str | None = about("The consumer that made the attempt; null when it is unknown.")
    kind: str | None = about("The kind of failure, such as http-5xx.")
    status: int | None = about("The HTTP status that a receiver answered.")
    error: str | None = about("Null for attempts that did not fail, and for callers who may not see dead letters.")


class TimelineChange(Answer):
    """A change of the event's place other than by an attempt."""

    at: datetime | None
    what: str = Field(
        description=f"One of {', '.join(get_args(ChangeName))}. moved: the group was moved past the event."
    )
    by: str | None = about("The person or program that acted; null for callers who may not see dead letters.")
    start: str | None = Field(alias="from", description="Of a move: the group's position before it, an id.")
    end: str | None = Field(alias="to", description="Of a move: the group's position after it, an id.")


class TimelineDeadLetter(Answer):
    """A dead letter of the event."""

    id: str
    error: str | None = about("Why the last attempt failed; null for callers who may not see dead letters.")
    attempts: int
    first_failed_at: datetime | None
    last_failed_at: datetime | None


class EventInGroup(Answer):
    """The place of the event in one group, and its history there."""

    group: str
    belongs_to: Owner | None = about("The bridge that owns the group. Null when no bridge owns it.")
    place: str = Field(description=f"One of {', '.join(get_args(PlaceName))}.")
    certain: bool = about("False where “acknowledged” can mean that the event was passed over.")
    meaning: str = about("The place as a sentence.")
    consumer: str | None = about("The consumer that has the event in flight, or had it last.")
    deliveries: int = about("How often the event was delivered, as far as Redis still keeps it.")
    since: datetime | None = about("Since when the event is in flight.")
    due_at: datetime | None = about("When the next attempt is due; for an event in flight, when its lease ends.")
    blocked_by: str | None = about("The earlier event of its key that must be finished first.")
    ahead: int | None = about("How many events of its key are before it; null when it is not blocked.")
    attempts: list[TimelineAttempt] = about("The known attempts, oldest first.")
    changes: list[TimelineChange] = about("Other changes of its place, oldest first, from the delivery log.")
    dead_letters: list[TimelineDeadLetter]
    dead_letters_complete: bool = about("False when the group has more old dead letters than were searched.")


class EventCopy(Answer):
    """A copy of the event in another stream."""

    bridge: str
    stream: str
    id: str


class ArchivedRow(Answer):
    """A row of the archive."""

    bridge: str | None = about("Null when the bridge was deleted.")
    at: datetime | None


class Timeline(Answer):
    """The timeline of one event."""

    stream: str
    id: str
    stored_at: datetime | None
    is_in_stream: bool = about("False when the entry is gone and only copies, dead letters or rows are left.")
    event_type: str | None
    source: str | None = about("Null for callers who may not read the event.")
    contract_version: int | None = about("The version of the contract that the event was checked against.")
    warnings: list[Violation] | None = about("How the event breaks that version. Null when it was not checked.")
    trace_id: str | None = about("The trace id of W3C Trace Context; null when it is masked.")
    cloudevent: dict[str, Any] | None = about(
        "The context attributes of a CloudEvent. Null for other events, and for callers who may not read the event."
    )
    came_through: list[str] = about("The streams that bridges copied the event from, the first one first.")
    groups: list[EventInGroup]
    groups_complete: bool = about("False when the stream has more than 1,000 groups.")
    copies: list[EventCopy] = about("Copies that bridges stored in other streams within the last 24 hours.")
    archived: list[ArchivedRow]
