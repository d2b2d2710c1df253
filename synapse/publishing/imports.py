"""Importing events: lines of JSON that were written by an export, or by hand, are published to a stream.

Each line is an event, or a row of an export, whose event is taken. A line goes through the checks of a published event,
and is known by its content: an event that was imported before is not stored again, wherever it stands in the file.
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
from synapse.publishing.storage import Fate, Stored
from synapse.publishing.validation import Accepted
from synapse.redis import Conversation, map_cooperatively
from synapse.redis.commands.publishing import IdempotencyKey
from synapse.schema.pii import MASK, holds_mask

MOST_ERRORS = 100
# Stands for the key of a request that has none.
_KEY = "import"
_ROW = frozenset({"id", "data", "event", "layout"})
_MASKED = f"PII is masked in this line ({MASK}): export it with the right to see PII."
_PART_OF_ROW = (
    "This is a part of a row of an export. Send the whole row, as it was exported with “id”, “data”, “event” and"
    " “layout”, or its event alone."
)


class ContentKeys:
    """Keys of events by their content. Equal events of one file are told apart by which of them it is."""

    def __init__(self) -> None:
        self._seen: Counter[bytes] = Counter()

    def key_of(self, request: Request, key: str | None, index: int, item: Any, version: int | None) -> IdempotencyKey:
        """Return the key of an event, as `BatchOptions.item_key`."""
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
    """Publish the lines of a request's body, or check them alone.

    Args:
        dry_run: whether nothing is stored.
        body: the lines, where they are read already, with their numbers in `lines`.
        keys: the keys of the parts before, where the lines are a part of a file.

    Raises:
        Problem, RedisFailure: as `publish_events` does.
    """
    body = body or _read(request)
    report = _Report(request.body, lines, dry_run=dry_run)
    batch = BatchOptions((keys or ContentKeys()).key_of, report.respond)
    events = Body(_events(body), batch=True)
    if dry_run:
        return (yield from validate_events(request, catalog, body=events, batch=batch))
    key = request.headers.get(idempotency.HEADER.lower())
    return (
        yield from publish_events(
            request, catalog, counters, body=events, key=_KEY if key is None else None, batch=batch
        )
    )


def _read(request: Request) -> Body:
    body = publishing_body.read_body(request)
    if publishing_body.content_type(request) != NDJSON:
        raise UnsupportedMediaType(
            f"Send the lines with Content-Type {NDJSON}: an event, or a row of an export, a line.",
            headers={"Accept-Post": NDJSON},
        )
    return body


def _events(body: Body) -> Iterator[Slice]:
    for items, longest in body.slices:
        yield Slice([_event(item) for item in items], longest)


def _event(item: Item) -> Item:
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
        # Of an envelope, whose type stands beside its event.
        return {**event, "event_type": item["event_type"]}
    return event


def _is_part_of_row(item: dict[str, Any]) -> bool:
    """Say whether an object holds an event as a row of an export does, and is no event itself."""
    return isinstance(item.get("event"), dict) and ("event_type" not in item or item.keys() >= {"id", "layout"})


class _Report:
    """Sums up the results of an import's lines."""

    def __init__(self, text: bytes, lines: Sequence[int] | None, *, dry_run: bool) -> None:
        self._text = text
        self._lines = lines
        self._dry_run = dry_run
        self._counts: Counter[str] = Counter()
        self._errors: list[dict[str, Any]] = []
        self._problems: dict[type, Problem | None] = {}

    def respond(
        self, stream: StreamDefinition, outcomes: Sequence[Accepted | Problem], fates: Sequence[Fate | None]
    ) -> Conversation[Response]:
        """Return the response, as `BatchOptions.respond`: 200 when all lines are good, 207 when some are."""
        rest = iter(fates)

        def note(index: int) -> None:
            outcome = outcomes[index]
            self._note(index, outcome, None if isinstance(outcome, Problem) else next(rest))

        yield from map_cooperatively(range(len(outcomes)), note)
        yield from self._number()
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
            told = "would be" if self._dry_run else "was"
            problem = BatchRefused(f"None of the {len(outcomes)} lines {told} stored; “errors” says why.")
        problem.members.update(document)
        return problem_response(problem)

    def _note(self, index: int, outcome: Accepted | Problem, fate: Fate | None) -> None:
        problem = batch_response.problem_of_event(outcome, fate)
        if problem is None and isinstance(fate, Stored):
            self._counts["accepted"] += 1
            self._counts["repeated"] += fate.repeated
            self._counts["warned"] += bool(isinstance(outcome, Accepted) and outcome.warnings)
            return
        self._problems.setdefault(type(problem), problem)
        result = batch_response.result_of_event(index, outcome, fate, problem)
        self._counts[result["status"]] += 1
        if len(self._errors) < MOST_ERRORS:
            self._errors += ({"line": index, **error} for error in result["errors"][:1])

    def _number(self) -> Conversation[None]:
        """Put the numbers of lines in place of the places of events: empty lines are none."""
        places = {error["line"] for error in self._errors}
        if self._lines is None:
            numbers = yield from _line_numbers(self._text, places)
        else:
            numbers = {place: self._lines[place] for place in places}
        for error in self._errors:
            error["line"] = numbers[error["line"]]


def _line_numbers(text: bytes, places: set[int]) -> Conversation[dict[int, int]]:
    """Return the numbers, from 1, of the lines that hold something and have these places among them, from 0."""
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
