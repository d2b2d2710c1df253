"""Files of events, read in parts that are small enough to be published, and the examples of event types.

A file holds one JSON object, an array, or one object on each line. The example of an event type is checked like a
published event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

import orjson

from synapse.catalog.plan import Values
from synapse.catalog.stream_definitions import ActiveContract, EventTypeDefinition, StreamDefinition
from synapse.errors.streams import BadEvent, ContractViolated
from synapse.formats import strict_json
from synapse.http.exchange import Request
from synapse.problems import Problem
from synapse.publishing import body, deferred_validation
from synapse.publishing import body as publishing_body
from synapse.publishing.body import JSON, MAX_BATCH_BYTES, MAX_BATCH_ITEMS, NDJSON, Body, Slice
from synapse.schema.validator import compile_schema

_NAMES_OF_LINES = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of the events of a file. `lines` are their line numbers when each event has a line, else None."""

    body: Body
    lines: Sequence[int] | None


def parts(file: BinaryIO, name: str) -> Iterator[Part]:
    """Yield the events of a file. A file with an event on each line may have any length: it is not read into memory.

    Raises:
        BadEvent, EventTooLarge: when the whole file cannot be read. A line that cannot be read becomes a refused event.
    """
    head = _head(file)
    if not head:
        raise BadEvent("There are no events in it.")
    if name.endswith(_NAMES_OF_LINES) or _are_lines([line for line in head if line.strip()]):
        yield from _parts_of_lines(chain(head, file))
        return
    data = b"".join(head) + file.read(MAX_BATCH_BYTES + 1)
    body = _read_part(data, JSON)
    yield Part(body=Body((Slice(body.items()),), batch=True), lines=None)


def _head(file: BinaryIO) -> list[bytes]:
    """Return the lines up to the second line that is not empty: these tell the format of the file."""
    lines: list[bytes] = []
    full = 0
    for line in file:
        lines.append(line)
        full += bool(line.strip())
        if full == 2:
            break
    return lines if full else []


def _are_lines(head: Sequence[bytes]) -> bool:
    """Say whether the first line is a whole event and the second line begins another one."""
    if len(head) < 2:
        return False
    first, second = head[0].strip(), head[1].strip()
    return first[:1] == b"{" and first[-1:] == b"}" and second[:1] == b"{"


def _parts_of_lines(lines: Iterator[bytes]) -> Iterator[Part]:
    taken: list[bytes] = []
    numbers: list[int] = []
    size = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if taken and (size + len(line) + 1 > MAX_BATCH_BYTES or len(taken) == MAX_BATCH_ITEMS):
            yield _part_of_lines(taken, numbers)
            taken, numbers, size = [], [], 0
        taken.append(line)
        numbers.append(number)
        size += len(line) + 1
    yield _part_of_lines(taken, numbers)


def _part_of_lines(lines: Sequence[bytes], numbers: Sequence[int]) -> Part:
    try:
        body = _read_part(b"\n".join(line.rstrip(b"\n") for line in lines), NDJSON)
    except Problem as problem:
        # A single line that is longer than the largest batch.
        body = Body((Slice((problem,)),), batch=True)
    return Part(body=body, lines=numbers)


def _read_part(data: bytes, kind: str) -> Body:
    return publishing_body.read_body(Request(method="POST", path="", headers={"content-type": kind}, body=data))


def complaints(event_type: Values, schema: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield the errors for which publishing would refuse the example of an event type: JSON Pointers and sentences."""
    example = event_type["example"]
    if example is None:
        return
    data = orjson.dumps(example)
    if len(data) > body.MAX_EVENT_BYTES:
        yield "", f"The example is {len(data)} bytes long; an event has at most {body.MAX_EVENT_BYTES}."
        return
    try:
        strict_json.check_size(strict_json.loads(data), len(data))
        found = deferred_validation.check_in_thread(_stream_with(event_type, schema), example)
    except ContractViolated as error:
        for violation in error.members["violations"]:
            yield violation["pointer"], f"breaks the schema: {violation['message']}"
    except (Problem, strict_json.BadJSON) as error:
        yield "", str(error)
    else:
        if found.event_type != event_type["name"]:
            yield "", f"is an event of type “{found.event_type}”, not “{event_type['name']}”."


def _stream_with(event_type: Values, schema: Mapping[str, Any] | None) -> StreamDefinition:
    """Return a stream with this event type only, which enforces its contract."""
    name = event_type["name"]
    contract = None
    if schema is not None:
        contract = ActiveContract(subject=event_type["contract"], version=1, schema=compile_schema(dict(schema)))
    definition = EventTypeDefinition(name=name, contract=contract)
    return StreamDefinition(name=event_type["stream"], event_types={name: definition})
