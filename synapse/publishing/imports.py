"""Importing events: publishes the lines of a JSON file, which was written by an export or by hand, to a stream.

Each line is an event, or a row of an export, which contains the event. A line is checked like a published event. Its
idempotency key is made of its content, so an event that was imported before is not stored again, on whichever line it
is.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.errors.streams import BadEvent, BatchRefused
from synapse.formats import exact_json
from synapse.http.exchange import Request, Response, json_response, problem_response
from synapse.problems import Problem, UnsupportedMediaType
from synapse.publishing import batch_response, idempotency
from synapse.publishing import body as publishing_body
from synapse.publishing.body import NDJSON, Body, Item, Slice
from synapse.publishing.counters import StreamCounters
from synapse.publishing.pipeline import BatchOptions, publish_events, validate_events
from synapse.publishing.storage import Stored, StoreOutcome
from synapse.publishing.validation import Accepted
from synapse.redis import Conversation, map_cooperatively
from synapse.redis.commands.publishing import IdempotencyKey
from synapse.schema.pii import MASK, holds_mask

MOST_ERRORS = 100
# The idempotency key of a request without one.
_KEY = "import"
_ROW = frozenset({"id", "data", "event", "layout"})
_MASKED = f"PII is masked in this line ({MASK}): export it with the right to see PII."
_PART_OF_ROW = (
    "This is a part of a row of an export. Send the whole row, as it was exported with “id”, “data”, “event” and"
    " “layout”, or its event alone."
)


class ContentKeys:
    """Idempotency keys made of the content of events. Equal events of one file are numbered, so that each is stored."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def key_of(self, request: Request, key: str | None, index: int, item: Any, version: int | None) -> IdempotencyKey:
        """Return the idempotency key of an event (a `BatchOptions.item_key`)."""
        written = exact_json.dumps(item)
        digest = hashlib.sha256(written).digest()[:16]
        self._seen[digest] += 1
        return idempotency.of_written(request, f"{key}/{digest.hex()}/{self._seen[digest]}", written, version)


def import_events(
    request: Request,
    catalog: Snapshot,
    counters: StreamCounters,
    *,
    dry_run: bool,
    body: Body | None = None,
    lines: Sequence[int] | None = None,
    keys: ContentKeys | None = None,
) -> Conversation[Response]:
    """Publish the lines of a request's body, or only check them.

    Args:
        dry_run: whether to check the lines without storing events.
        body: the lines, if they were read before; then `lines` has their line numbers.
        keys: the keys of the earlier parts of the file, when the lines are one part of several.

    Raises:
        Problem, RedisFailure: as `publish_events` does.
    """
    body = body or _read_lines(request)
    report = _Report(request.body, lines, dry_run=dry_run)
    batch = BatchOptions((keys or ContentKeys()).key_of, report.respond)
    events = Body(_events_in(body), batch=True)
    if dry_run:
        return (yield from validate_events(request, catalog, body=events, batch=batch))
    key = request.headers.get(idempotency.HEADER.lower())
    return (
        yield from publish_events(
            request, catalog, counters, body=events, key=_KEY if key is None else None, batch=batch
        )
    )


def _read_lines(request: Request) -> Body:
    body = publishing_body.read_body(request)
    if publishing_body.content_type(request) != NDJSON:
        raise UnsupportedMediaType(
            f"Send the lines with Content-Type {NDJSON}: an event, or a row of an export, a line.",
            headers={"Accept-Post": NDJSON},
        )
    return body


def _events_in(body: Body) -> Iterator[Slice]:
    for items, longest in body.slices:
        yield Slice([_event_in(item) for item in items], longest)


def _event_in(item: Item) -> Item:
    """Return the event of a line."""
    if not isinstance(item, dict):
        return item
    if set(item) == {"incomplete"}:
        return BadEvent("This is the last line of an export that ended early, and no event. Export the rest, too.")
    event: Any = item.get("event")
    is_row = item.keys() >= _ROW and isinstance(event, dict) and isinstance(item["data"], dict)
    if holds_mask(event if is_row else item):
        return BadEvent(_MASKED)
    if not is_row:
        return BadEvent(_PART_OF_ROW) if _is_part_of_row(item) else item
    if "event_type" not in event and isinstance(item.get("event_type"), str):
        # An envelope, which has the event type beside the event.
        return {**event, "event_type": item["event_type"]}
    return event


def _is_part_of_row(item: dict[str, Any]) -> bool:
    """Say whether an object is an incomplete row of an export rather than an event."""
    return isinstance(item.get("event"), dict) and ("event_type" not in item or item.keys() >= {"id", "layout"})


class _Report:
    """The results of the lines of an import, counted by status, with the first errors."""

    def __init__(self, text: bytes, lines: Sequence[int] | None, *, dry_run: bool) -> None:
        self._text = text
        self._lines = lines
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._errors: list[dict[str, Any]] = []
        self._problems: dict[type, Problem | None] = {}

    def respond(
        self,
        stream: StreamDefinition,
        outcomes: Sequence[Accepted | Problem],
        store_outcomes: Sequence[StoreOutcome | None],
    ) -> Conversation[Response]:
        """Return the response (a `BatchOptions.respond`): 200 when all lines were accepted, 207 when some were."""
        rest = iter(store_outcomes)

        def note(index: int) -> None:
            outcome = outcomes[index]
            self._note(index, outcome, None if isinstance(outcome, Problem) else next(rest))

        yield from map_cooperatively(range(len(outcomes)), note)
        yield from self._set_line_numbers()
        counts = self._counts
        document = {
            "stream": stream.name,
            "dry_run": self._dry_run,
            "lines": len(outcomes),
            **{name: counts[name] for name in ("accepted", "repeated", "warned", "rejected", "aborted")},
            "errors": self._errors,
        }
        if counts["accepted"]:
            return json_response(document, status=200 if counts["accepted"] == len(outcomes) else 207)
        problem = batch_response.refusal(list(self._problems.values()), len(outcomes))
        if isinstance(problem, BatchRefused):
            verb = "would be" if self._dry_run else "was"
            problem = BatchRefused(f"None of the {len(outcomes)} lines {verb} stored; “errors” says why.")
        problem.members.update(document)
        return problem_response(problem)

    def _note(self, index: int, outcome: Accepted | Problem, store_outcome: StoreOutcome | None) -> None:
        problem = batch_response.problem_of_event(outcome, store_outcome)
        if problem is None and isinstance(store_outcome, Stored):
            self._counts["accepted"] += 1
            self._counts["repeated"] += store_outcome.repeated
            self._counts["warned"] += bool(isinstance(outcome, Accepted) and outcome.warnings)
            return
        self._problems.setdefault(type(problem), problem)
        result = batch_response.result_of_event(index, outcome, store_outcome, problem)
        self._counts[result["status"]] += 1
        if len(self._errors) < MOST_ERRORS:
            self._errors += ({"line": index, **error} for error in result["errors"][:1])

    def _set_line_numbers(self) -> Conversation[None]:
        """Replace the indexes of events in the errors by line numbers, which count empty lines too."""
        places = {error["line"] for error in self._errors}
        if self._lines is None:
            numbers = yield from _line_numbers(self._text, places)
        else:
            numbers = {place: self._lines[place] for place in places}
        for error in self._errors:
            error["line"] = numbers[error["line"]]


def _line_numbers(text: bytes, places: set[int]) -> Conversation[dict[int, int]]:
    """Return the line numbers (from 1) of the events with the given indexes (from 0). Empty lines have no event."""
    found: dict[int, int] = {}
    number = place = 0
    for part in publishing_body.parts_of_lines(text):
        if len(found) == len(places):
            break
        yield ()
        for line in part.split(b"\n"):
            number += 1
            if line.strip():
                if place in places:
                    found[place] = number
                place += 1
    return found
