"""Events in a file: one JSON object, an array, or one a line; in parts that publishing would take. No Django."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import BinaryIO

from synapse.errors.streams import BadEvent
from synapse.http.exchange import Request
from synapse.problems import Problem
from synapse.publishing import body as publishing_body
from synapse.publishing.body import (
    JSON,
    MAX_BATCH_BYTES,
    MAX_BATCH_ITEMS,
    NDJSON,
    Body,
)

_NAMES_OF_LINES = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some of the file's events, as publishing reads them; `lines` are their lines where each has its own."""

    body: Body
    lines: Sequence[int] | None


def parts(file: BinaryIO, name: str) -> Iterator[Part]:
    """Give a file's events. A file of lines may be of any length and is read as it comes.

    Raises:
        BadEvent, EventTooLarge: when it cannot be read as a whole. A line that cannot is an event that is refused.
    """
    head = _head(file)
    if not head:
        raise BadEvent("There are no events in it.")
    if name.endswith(_NAMES_OF_LINES) or _are_lines([line for line in head if line.strip()]):
        yield from _parts_of_lines(chain(head, file))
        return
    data = b"".join(head) + file.read(MAX_BATCH_BYTES + 1)
    body = _read(data, JSON)
    yield Part(body=Body((body.items(),), batch=True), lines=None)


def _head(file: BinaryIO) -> list[bytes]:
    """Return the lines up to the second one that is not empty: they show how the file is written."""
    lines: list[bytes] = []
    full = 0
    for line in file:
        lines.append(line)
        full += bool(line.strip())
        if full == 2:
            break
    return lines if full else []


def _are_lines(head: Sequence[bytes]) -> bool:
    """Say whether the first of two lines is an event by itself, and the second begins another."""
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
        body = _read(b"\n".join(line.rstrip(b"\n") for line in lines), NDJSON)
    except Problem as problem:
        # One line alone that is longer than a whole batch.
        body = Body(((problem,),), batch=True)
    return Part(body=body, lines=numbers)


def _read(data: bytes, kind: str) -> Body:
    return publishing_body.read(Request(method="POST", path="", headers={"content-type": kind}, body=data))
