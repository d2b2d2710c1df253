"""Endpoints that test a contract on stored events, and draft one from them. Only Django answers them, because both take
a while.
"""

from functools import partial
from typing import Any

from pydantic import Field

from core import payload_access
from streams import candidate_schemas, connections
from streams.candidate_schemas import subject_of
from synapse.auth.permission import Requirement
from synapse.endpoints import JSON_SCHEMA, Answer, Call, JsonSchema, Query, QueryInt, about, endpoint
from synapse.http.exchange import JSON, Request
from synapse.inspection import backtest
from synapse.inspection import draft_from_traffic as drafts
from synapse.inspection.recent_events import MOST_EVENTS, USUAL_EVENTS, find_stream
from synapse.problems import UnsupportedMediaType

_SCHEMA_JSON = "application/schema+json"
_PATH = "/streams/{stream}/event-types/{event_type}"


class Moment(Answer):
    """An entry and its time."""

    id: str
    time: str | None = about("ISO 8601, UTC; null where the id tells no time.")


class ExampleEvent(Answer):
    """An event that would be refused."""

    id: str
    pointer: str = about("JSON Pointer (RFC 6901) into this event.")
    message: str
    path: str = about("Where it can be read.")


class BrokenRule(Answer):
    """A rule of the schema, and the events that break it at one place."""

    schema_pointer: str = about("JSON Pointer into the schema.")
    keyword: str
    pointer: str = about("JSON Pointer into the events; `*` stands for any item, and for any free name.")
    message: str = about("The sentence about the first example.")
    events: int = about("How many events break it there.")
    first_seen: Moment
    last_seen: Moment
    examples: list[ExampleEvent] = about("The newest of them.")


class LookedAt(Answer):
    """The events that were read."""

    stream: str
    event_type: str
    active_version: int | None = about("The version that events are checked against now.")
    events: int = about("How many events of the type were looked at.")
    foreign: int = about("How many of them other programs wrote, past Synapse.")
    oldest: Moment | None
    newest: Moment | None
    scanned: int = about("How many entries of all types were looked at for that.")
    complete: bool = about("False when a limit ended the search early.")
    stopped: str | None = about("Which limit that was.")
    masked: bool = about("True when PII was masked before it was looked at.")
    note: str | None = about("The meaning of that, in a sentence; null otherwise.")


class BackTested(LookedAt):
    """Result of testing a schema on the newest events."""

    refused: int = about("How many of them the schema would refuse.")
    newly_refused: int = about("The number of these events that are accepted now.")
    refused_by_active: int | None = about("How many the active version refuses; null when there is none.")
    explained: int = about("How many of the refused are counted in `violations`.")
    violations: list[BrokenRule] = about("The rules that they break, the commonest first.")
    more_violations: bool = about("True when there are further ones.")


class Drafted(LookedAt):
    """A schema that the newest events suggest."""

    subject: str = about("The subject of the contract that it would be a draft of.")
    document: JsonSchema = Field(alias="schema")
    difference: list[str] = about("A unified diff from the active version, line by line.")


class LastQuery(Query):
    """The number of events to read."""

    last: QueryInt = about(
        "How many of the newest events of the type are looked at.", default=USUAL_EVENTS, ge=1, le=MOST_EVENTS
    )


_tries = partial(endpoint, tag="contracts", query=LastQuery, requires=Requirement(read=True))


@_tries(
    "POST",
    f"{_PATH}/backtest",
    "Test a schema on stored events",
    BackTested,
    problems=[404, 409, 413, 415, 422, 503],
    documented_body={JSON: JSON_SCHEMA, _SCHEMA_JSON: JSON_SCHEMA},
)
def back_test(call: Call[LastQuery, None]) -> dict[str, Any]:
    """How many of the newest events the schema would refuse, grouped by the rules they break. Without a body, the draft
    of the event type's contract is tested. Nothing is changed. Where the caller may not see PII, it is masked in the
    events that are tested, and `masked` is true."""
    stream, event_type = call.params["stream"], call.params["event_type"]
    subject = subject_of(find_stream(call.catalog, stream).name, event_type)
    text = _schema_of(call.request)
    candidate = candidate_schemas.from_text(subject, text) if text else candidate_schemas.from_draft(subject)
    with candidate_schemas.open_trial(candidate) as trial:
        test = backtest.back_test(call.catalog, stream, event_type, trial, by=call.by, last=call.query.last)
        tested = connections.executor().run(test)
    payload_access.record(
        call.by, f"stream {stream}", tested.example_ids, events=tested.walk.events, back_test=event_type
    )
    return tested.as_dict()


@_tries("POST", f"{_PATH}/draft", "Propose a contract from stored events", Drafted, problems=[404, 409, 503])
def draft_from_traffic(call: Call[LastQuery, None]) -> dict[str, Any]:
    """A schema that accepts the newest events of a type, whether it is defined or not, and how it differs from the
    active version. Nothing is saved."""
    stream, event_type = call.params["stream"], call.params["event_type"]
    conversation = drafts.draft_schema(call.catalog, stream, event_type, by=call.by, last=call.query.last)
    proposal = connections.executor().run(conversation)
    payload_access.record(call.by, f"stream {stream}", [], events=proposal.walk.events, draft=event_type)
    return {**proposal.as_dict(), "subject": subject_of(stream, event_type)}


def _schema_of(request: Request) -> bytes:
    body = request.body.strip()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind not in (JSON, _SCHEMA_JSON):
        raise UnsupportedMediaType(f"Send a schema with Content-Type {JSON} or {_SCHEMA_JSON}.")
    return body
