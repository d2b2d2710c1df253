"""Refused events of a stream: by reason, rule of the contract, event type and publisher."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from synapse.auth.permission import Requirement
from synapse.auth.principal import Rights, sees
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.endpoints import Answer, Call, Query, about, endpoint
from synapse.redis import Conversation, answer_or, ask
from synapse.redis.commands.refusals import RefusalKind, kinds_of, read_refusals
from synapse.wire.ids import time_of

METRICS_READ = "metrics:read"


class RefusedEvents(Answer):
    """Refused events with the same reason, rule, event type and publisher."""

    id: str = about("Id of this row.")
    reason: str = about("The last part of the problem's `type`.")
    title: str
    status: int = about("HTTP status of the response.")
    count: int = about("Refused events. One that breaks several rules counts for each.")
    first_seen: str | None
    last_seen: str | None
    publisher: str | None = about("The caller, such as `service:shop`.")
    key: str | None = about("Id of the API key of the last refused request.")
    event_type: str | None = about("Null when the stream defines no such type.")
    contract: str | None = about("Subject of the contract.")
    contract_version: int | None
    rule: str | None = about("JSON Pointer to the rule in the contract.")
    keyword: str | None = about("JSON Schema keyword that failed.")
    detail: str | None = about("Text of the last refusal, unless it may quote the event.")
    size: int | None = about("Size of the last request in bytes.")
    unknown_type: str | None = about("Undefined event type of the last refused event.")
    sample: dict[str, Any] | None = about("One event, shortened; on a stream with PII without values.")


class StreamRefusals(Answer):
    """The refused events of a stream."""

    stream: str
    refusals: list[RefusedEvents] = about("The latest first.")


# Properties that are null for callers that may not see the publisher or the event.
_HIDDEN: Mapping[str, Any] = dict.fromkeys(
    (
        *("publisher", "key", "event_type", "contract", "contract_version", "rule", "keyword"),
        *("detail", "size", "unknown_type", "sample"),
    )
)


@endpoint(
    "GET",
    "/streams/{stream}/refusals",
    "Show the refused events of a stream",
    StreamRefusals,
    tag="streams",
    query=Query,
    requires=Requirement(read=True, otherwise=METRICS_READ),
    of_stream=True,
    on_event_loop=True,
    reveals=lambda found: {
        found["stream"]: [f"refusal {each['id']}" for each in found["refusals"] if each["sample"] is not None]
    },
)
def list_refusals(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """By reason, rule of the contract, event type and publisher, with a sample. With the scope `metrics:read` alone:
    counts by reason."""
    kinds = yield from refusals_of(call.stream)
    return {"stream": call.stream.name, "refusals": seen_by(call.by.rights, call.stream, kinds)}


def refusals_of(stream: StreamDefinition) -> Conversation[list[RefusalKind]]:
    """Return the refusals of a stream in their kinds, the latest first."""
    latest, fields = yield from ask(read_refusals(stream.name))
    return kinds_of(answer_or(latest, stream.name, ()), answer_or(fields, stream.name, ()))


def seen_by(rights: Rights, stream: StreamDefinition, kinds: Iterable[RefusalKind]) -> list[dict[str, Any]]:
    """Return the kinds as rows that the caller may see."""
    rows = [(kind, orjson.loads(kind.known)) for kind in kinds]
    if rights.may("read", stream.name):
        return [_row_of(stream, kind, known) for kind, known in rows if sees(rights, stream.name, known["event_type"])]
    return _by_reason(stream, rows)


def _row_of(stream: StreamDefinition, kind: RefusalKind, known: Mapping[str, Any]) -> dict[str, Any]:
    sample = orjson.loads(kind.sample) if kind.sample else None
    if sample is not None and sample["plain"] and stream.marks:
        # The sample was stored before a contract marked PII.
        sample = None
    return {
        "id": kind.digest,
        "reason": known["reason"],
        "title": known["title"],
        "status": known["status"],
        "count": kind.count,
        "first_seen": time_of(kind.first_ms),
        "last_seen": time_of(kind.last_ms),
        "publisher": known["publisher"] or None,
        "key": known["key"] or None,
        "event_type": known["event_type"] or None,
        "contract": known["subject"] or None,
        "contract_version": known["version"] or None,
        "rule": known["rule"] if known["keyword"] else None,
        "keyword": known["keyword"] or None,
        "detail": known["detail"] or None,
        "size": known["size"] or None,
        "unknown_type": None if stream.marks else known["unknown_type"] or None,
        "sample": sample and sample["event"],
    }


def _by_reason(stream: StreamDefinition, rows: Sequence[tuple[RefusalKind, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return one row for each reason, without the properties in `_HIDDEN`."""
    found: dict[str, dict[str, Any]] = {}
    for kind, known in rows:
        row = {**_row_of(stream, kind, known), **_HIDDEN}
        one = found.setdefault(row["reason"], {**row, "id": row["reason"], "count": 0})
        one["count"] += row["count"]
        one["first_seen"] = min(one["first_seen"] or "", row["first_seen"] or "") or None
    return list(found.values())
