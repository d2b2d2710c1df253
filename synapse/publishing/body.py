"""The first step of publishing: from the body of a request to JSON values.

A large batch is read in slices, each when it is needed, so that the event loop answers others between two of them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import inf
from typing import Any, NamedTuple

import orjson

from synapse.errors.streams import BadEvent, EventTooLarge
from synapse.formats import exact_json, json_slices, strict_json
from synapse.formats.text import NO_TEXTS
from synapse.http.accept import split_unquoted
from synapse.http.exchange import Request
from synapse.problems import BadRequest, Problem, UnsupportedMediaType

MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ITEMS = 10_000
CONTRACT_VERSION = "Synapse-Contract-Version"
_HIGHEST_VERSION = 2**31 - 1
JSON, NDJSON = "application/json", "application/x-ndjson"
# For programs, the header with the content types that are read (Linked Data Platform 1.0, 7.1).
ACCEPTED, _ACCEPTED = "Accept-Post", f"{JSON}, {NDJSON}"
_WHITE = b" \t\n\r"

# A problem stands where an item could not be read.
Item = Any | Problem


class Slice(NamedTuple):
    """Some values in their order, and how long the longest one's text is at the most, in bytes."""

    items: Sequence[Item]
    longest: float = inf


class Body(NamedTuple):
    """The events of a request, and whether it was a batch.

    `slices` has the values in their order. Those of a large batch are read as they are taken, once; that raises what
    `read` raises. An empty slice is a pause.
    `beside` is what was said about a single event and is no part of it, as `encoding.encode` takes it.
    `is_keyed` says that each event is a CloudEvent, and so has an idempotency key of its own.
    """

    slices: Iterable[Slice]
    batch: bool
    beside: Mapping[str, str] = NO_TEXTS
    is_keyed: bool = False

    @property
    def is_large(self) -> bool:
        """Whether it is read as its values are taken."""
        return not isinstance(self.slices, tuple)

    def items(self) -> list[Item]:
        """Read all that is left, at once."""
        return [item for items, _ in self.slices for item in items]


def read_body(request: Request) -> Body:
    """Return the values of the request's body.

    Raises:
        UnsupportedMediaType: when it is neither JSON nor NDJSON in UTF-8.
        EventTooLarge: when it is over a limit.
        BadEvent: when it cannot be read as a whole. A line of NDJSON that cannot be read is an item of its own.
    """
    kind = content_type(request)
    body = request.body
    if kind != NDJSON and body.lstrip(_WHITE)[:1] != b"[":
        return Body((Slice((read_value(body),), len(body)),), batch=False)
    if len(body) > MAX_BATCH_BYTES:
        raise EventTooLarge(f"The batch is {len(body)} bytes long; at most {MAX_BATCH_BYTES} are accepted.")
    slices = _lines(body) if kind == NDJSON else read_array(body)
    # A small body is parsed here, so that its callers know that it is valid.
    return Body(slices if is_large(body) else tuple(slices), batch=True)


def is_large(body: bytes) -> bool:
    """Say whether a batch is read in slices, as its events are taken."""
    return len(body) > json_slices.SLICE


def contract_version(request: Request) -> int | None:
    """Return the version that the request's events ask to be checked against; None when they ask for none.

    Raises:
        BadRequest: when the header is no version's number.
    """
    text = request.headers.get(CONTRACT_VERSION.lower(), "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _HIGHEST_VERSION):
        raise BadRequest(
            f"The header {CONTRACT_VERSION} is the number of a contract's version, from 1.", parameter=CONTRACT_VERSION
        )
    return int(text)


def content_type(request: Request) -> str:
    """Return the content type of a request's body: JSON or NDJSON.

    Raises:
        UnsupportedMediaType: when it is another one.
    """
    return _content_type(request.headers.get("content-type", ""))


@lru_cache(maxsize=64)
def _content_type(header: str) -> str:
    kind, *parameters = (part.strip().lower() for part in split_unquoted(header, ";"))
    if kind not in (JSON, NDJSON):
        sent = f"this is “{kind[:100]}”" if kind else "the request names none"
        raise UnsupportedMediaType(
            f"Send events with Content-Type {JSON} or {NDJSON}; {sent}.",
            headers={ACCEPTED: _ACCEPTED},
        )
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name == "charset" and text.strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("JSON is sent in UTF-8 (RFC 8259, 8.1).")
    return kind


def read_value(data: bytes) -> Any:
    """Return the JSON value of an event.

    Raises:
        EventTooLarge: when it is over a limit.
        BadEvent: when it is not strict JSON.
    """
    if len(data) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"The event is {len(data)} bytes long; at most {MAX_EVENT_BYTES} are accepted.")
    try:
        return strict_json.loads_value(data)
    except strict_json.BadJSON as error:
        raise BadEvent(f"{error}{_hint_of_lines(data)}") from None


def _hint_of_lines(data: bytes) -> str:
    """Return the advice for several lines of JSON that were sent as one value."""
    first, _, rest = data.strip().partition(b"\n")
    if not rest:
        return ""
    try:
        strict_json.loads(first)
    except strict_json.BadJSON:
        return ""
    return f" The first line is a whole value: send a batch of lines with Content-Type {NDJSON}."


def within_limits(event: Any) -> Any:
    """Check an event that did not come in a request against the limits of requests, and return it.

    Raises:
        EventTooLarge: when it is over a limit.
        BadEvent: when it could not have been read as JSON.
    """
    try:
        return read_value(exact_json.dumps(event))
    except orjson.JSONEncodeError as error:
        raise BadEvent(f"The event cannot be written as JSON: {error}.") from None


def read_array(body: bytes, *, may_be_empty: bool = False) -> Iterator[Slice]:
    """Yield the values of a JSON array.

    Raises:
        EventTooLarge: when they are too many.
        BadEvent: when it is no JSON array, or holds nothing.
    """
    count = 0
    try:
        if len(body) <= json_slices.SLICE:
            # The array itself is one level more than its events.
            values = strict_json.loads(body, max_depth=strict_json.MAX_DEPTH + 1)
            slices: Iterable[json_slices.Slice] = (json_slices.Slice(values, len(body)),)
        else:
            slices = json_slices.read(body, longest=MAX_EVENT_BYTES)
        for part in slices:
            count += len(part.items)
            if count > MAX_BATCH_ITEMS:
                raise _too_many()
            if part.size > json_slices.SLICE // 2 and len(part.items) == 1:
                yield Slice(())  # parsing it took long, and so does looking at all its parts
            yield _within_limits(part)
    except strict_json.BadJSON as error:
        raise BadEvent(str(error)) from None
    if not may_be_empty:
        _check_count(count)


def _within_limits(part: json_slices.Slice) -> Slice:
    """Return the items of a slice, with a problem in place of each that is over a limit."""
    values, size = part
    if size <= strict_json.SMALL or not values:
        return Slice(values, size)
    if len(values) == 1:
        return Slice([_checked(values[0], size)])
    # Not by `exact_json.dumps`: this is done for each event.
    sizes = [len(orjson.dumps(value, default=exact_json.written)) for value in values]
    longest = max(sizes)
    if longest <= strict_json.SMALL:
        return Slice(values, longest)
    return Slice([_checked(value, size) for value, size in zip(values, sizes, strict=True)])


def _checked(value: Any, size: int) -> Item:
    if isinstance(value, json_slices.Oversized):
        if size <= MAX_EVENT_BYTES:
            return BadEvent(strict_json.TOO_MANY_PARTS)
        return EventTooLarge(f"The event is {size} bytes long; at most {MAX_EVENT_BYTES} are accepted.")
    try:
        strict_json.check_size(value, size)
    except strict_json.BadJSON as error:
        return BadEvent(str(error))
    return value


def _lines(body: bytes) -> Iterator[Slice]:
    count = 0
    for lines in _stretches(body):
        count += len(lines)
        if count > MAX_BATCH_ITEMS:
            raise _too_many()
        yield Slice(())
    _check_count(count)
    for lines in _stretches(body):
        for line in lines:
            yield Slice((_line(line),), len(line))


def _stretches(body: bytes) -> Iterator[list[bytes]]:
    """Yield the lines of the body, some at a time. White space around a value is JSON's own, and empty lines are passed
    over."""
    for part in parts_of_lines(body):
        # Only LF ends a line.
        yield [line for line in part.split(b"\n") if line.strip()]


def parts_of_lines(body: bytes) -> Iterator[bytes]:
    """Yield whole lines of a text, some at a time, without the line break behind the last of them."""
    begin = 0
    while begin < len(body):
        end = body.rfind(b"\n", begin, begin + json_slices.SLICE)
        if end < 0:
            end = body.find(b"\n", begin)
        if end < 0 or len(body) - begin <= json_slices.SLICE:
            end = len(body)
        yield body[begin:end]
        begin = end + 1


def _line(line: bytes) -> Item:
    try:
        return read_value(line)
    except Problem as problem:
        return problem.with_traceback(None)  # it is kept, and would keep the frames that raised it


def _check_count(count: int) -> None:
    if count == 0:
        raise BadEvent("The batch holds no events.")


def _too_many() -> EventTooLarge:
    return EventTooLarge(f"The batch holds more than {MAX_BATCH_ITEMS} events, the most that are accepted.")
