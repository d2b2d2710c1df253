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
    time: str | None = about("The time in ISO 8601, UTC; null when the id contains no time.")


class ExampleEvent(Answer):
    """An event that would be refused."""

    id: str
    pointer: str = about("JSON Pointer (RFC 6901) into this event.")
    message: str
    path: str = about("The path of the API at which the event can be read.")


class BrokenRule(Answer):
    """A rule of the schema, and the events that break it at one place."""

    schema_pointer: str = about("JSON Pointer (RFC 6901) into the schema.")
    keyword: str
    pointer: str = about("JSON Pointer into the events; `*` stands for any item, or any name of a map.")
    message: str = about("The violation of the first example, as a sentence.")
    events: int = about("How many events break the rule at this place.")
    first_seen: Moment
    last_seen: Moment
    examples: list[ExampleEvent] = about("The newest events that break the rule at this place.")


class LookedAt(Answer):
    """The events that were searched."""

    stream: str
    event_type: str
    active_version: int | None = about("The version that events are checked against now.")
    events: int = about("How many events of the type were tested.")
    foreign: int = about("How many of `events` other programs wrote to Redis without Synapse.")
    oldest: Moment | None
    newest: Moment | None
    scanned: int = about("How many entries of all types were searched for these events.")
    complete: bool = about("False when a limit ended the search early.")
    stopped: str | None = about("The limit that ended the search; null when none did.")
    masked: bool = about("True when PII was masked before the events were tested.")
    note: str | None = about("The effect of masking on the result, as a sentence; null without masking.")


class BackTested(LookedAt):
    """Result of testing a schema on the newest events."""

    refused: int = about("How many of `events` the schema would refuse.")
    newly_refused: int = about("How many of `refused` the active version accepts.")
    refused_by_active: int | None = about("How many of `events` the active version refuses; null without one.")
    explained: int = about("How many of `refused` are counted in `violations`.")
    violations: list[BrokenRule] = about("The rules that the refused events break, the most frequent first.")
    more_violations: bool = about("True when the events break more rules than `violations` lists.")


class Drafted(LookedAt):
    """A schema that was inferred from the newest events."""

    subject: str = about("The subject of the contract for which the schema is a draft.")
    document: JsonSchema = Field(alias="schema")
    difference: list[str] = about("A unified diff from the active version, line by line.")


class LastQuery(Query):
    """The number of events to read."""

    last: QueryInt = about(
        "How many of the newest events of the type to test.", default=USUAL_EVENTS, ge=1, le=MOST_EVENTS
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
    """Counts how many of the newest events the schema would refuse, grouped by the rules that they break. Without a
    body, the draft of the event type's contract is tested. Nothing is changed. When the caller may not see PII, PII is
    masked in the tested events, and `masked` is true."""
    stream, event_type = call.params["stream"], call.params["event_type"]
    subject = subject_of(find_stream(call.catalog, stream).name, event_type)
    text = _schema_of(call.request)
    candidate = candidate_schemas.from_text(subject, text) if text else candidate_schemas.from_draft(subject)
    with candidate_schemas.open_trial(candidate) as trial:
        test = backtest.back_test(call.catalog, stream, event_type, trial, by=call.by, last=call.query.last)
        tested = connections.executor().run(test)
    payload_access.record(
        call.by, f"stream {stream}", tested.example_ids, events=tested.scan.events, back_test=event_type
    )
    return tested.as_dict()


@_tries("POST", f"{_PATH}/draft", "Propose a contract from stored events", Drafted, problems=[404, 409, 503])
def draft_from_traffic(call: Call[LastQuery, None]) -> dict[str, Any]:
    """Infers a schema that accepts the newest events of a type, which need not be defined, and compares the schema with
    the active version. Nothing is saved."""
    stream, event_type = call.params["stream"], call.params["event_type"]
    conversation = drafts.draft_schema(call.catalog, stream, event_type, by=call.by, last=call.query.last)
    proposal = connections.executor().run(conversation)
    payload_access.record(call.by, f"stream {stream}", [], events=proposal.scan.events, draft=event_type)
    return {**proposal.as_dict(), "subject": subject_of(stream, event_type)}


def _schema_of(request: Request) -> bytes:
    body = request.body.strip()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind not in (JSON, _SCHEMA_JSON):
        raise UnsupportedMediaType(f"Send a schema with Content-Type {JSON} or {_SCHEMA_JSON}.")
    return body
