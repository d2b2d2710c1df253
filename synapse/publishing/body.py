"""The first step of publishing: from the body of a request to JSON values.

A large batch is read in slices, each when it is needed, so that the event loop serves other requests between slices.
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
# The header that lists the supported content types (Linked Data Platform 1.0, 7.1), and its value.
ACCEPTED, _ACCEPTED = "Accept-Post", f"{JSON}, {NDJSON}"
_WHITE = b" \t\n\r"

# The value of an event, or the problem that it could not be read.
Item = Any | Problem


class Slice(NamedTuple):
    """Consecutive values of a body, and an upper bound for the length in bytes of the longest one as JSON."""

    items: Sequence[Item]
    longest: float = inf


class Body(NamedTuple):
    """The events of a request.

    Attributes:
        slices: the values in their order. Those of a large batch can be iterated once, are read meanwhile, and raise
            what `read_body` raises. An empty slice is a pause.
        batch: whether the request is a batch.
        beside: fields about a single event that are no properties of it, as for `encoding.encode`.
        is_keyed: whether the events are CloudEvents, of which each has an idempotency key.
    """

    slices: Iterable[Slice]
    batch: bool
    beside: Mapping[str, str] = NO_TEXTS
    is_keyed: bool = False

    @property
    def is_large(self) -> bool:
        """Whether the values are read while `slices` is iterated."""
        return not isinstance(self.slices, tuple)

    def items(self) -> list[Item]:
        """Read all remaining values at once."""
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
    slices = _slices_of_lines(body) if kind == NDJSON else read_array(body)
    # A small body is parsed at once, so that callers know that it is valid.
    return Body(slices if is_large(body) else tuple(slices), batch=True)


def is_large(body: bytes) -> bool:
    """Say whether a batch is large enough to be read in slices."""
    return len(body) > json_slices.SLICE


def contract_version(request: Request) -> int | None:
    """Return the contract version that a request asks for with its header; None without the header.

    Raises:
        BadRequest: when the value of the header is no version number.
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
    """Return an advice about several lines of JSON that were sent as one value; "" for other errors."""
    first, _, rest = data.strip().partition(b"\n")
    if not rest:
        return ""
    try:
        strict_json.loads(first)
    except strict_json.BadJSON:
        return ""
    return f" The first line is a whole value: send a batch of lines with Content-Type {NDJSON}."


def within_limits(event: Any) -> Any:
    """Check an event that is not from a request against the limits for requests, and return it.

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
            # The array is one level above its events.
            values = strict_json.loads(body, max_depth=strict_json.MAX_DEPTH + 1)
            slices: Iterable[json_slices.Slice] = (json_slices.Slice(values, len(body)),)
        else:
            slices = json_slices.read(body, longest=MAX_EVENT_BYTES)
        for part in slices:
            count += len(part.items)
            if count > MAX_BATCH_ITEMS:
                raise _too_many()
            if part.size > json_slices.SLICE // 2 and len(part.items) == 1:
                yield Slice(())  # a pause: parsing it took long, and checking its parts takes long too
            yield _check_limits(part)
    except strict_json.BadJSON as error:
        raise BadEvent(str(error)) from None
    if not may_be_empty:
        _check_count(count)


def _check_limits(part: json_slices.Slice) -> Slice:
    """Return the items of a slice. A problem replaces each item that exceeds a limit."""
    values, size = part
    if size <= strict_json.SMALL or not values:
        return Slice(values, size)
    if len(values) == 1:
        return Slice([_check_item(values[0], size)])
    # Faster than `exact_json.dumps`, for each event.
    sizes = [len(orjson.dumps(value, default=exact_json.written)) for value in values]
    longest = max(sizes)
    if longest <= strict_json.SMALL:
        return Slice(values, longest)
    return Slice([_check_item(value, size) for value, size in zip(values, sizes, strict=True)])


def _check_item(value: Any, size: int) -> Item:
    if isinstance(value, json_slices.Oversized):
        if size <= MAX_EVENT_BYTES:
            return BadEvent(strict_json.TOO_MANY_PARTS)
        return EventTooLarge(f"The event is {size} bytes long; at most {MAX_EVENT_BYTES} are accepted.")
    try:
        strict_json.check_size(value, size)
    except strict_json.BadJSON as error:
        return BadEvent(str(error))
    return value


def _slices_of_lines(body: bytes) -> Iterator[Slice]:
    count = 0
    for lines in _lists_of_lines(body):
        count += len(lines)
        if count > MAX_BATCH_ITEMS:
            raise _too_many()
        yield Slice(())
    _check_count(count)
    for lines in _lists_of_lines(body):
        for line in lines:
            yield Slice((_read_line(line),), len(line))


def _lists_of_lines(body: bytes) -> Iterator[list[bytes]]:
    """Yield lists of lines of the body without empty lines. White space around a value is left: JSON allows it."""
    for part in parts_of_lines(body):
        # Only LF ends a line.
        yield [line for line in part.split(b"\n") if line.strip()]


def parts_of_lines(body: bytes) -> Iterator[bytes]:
    """Yield parts of a text that consist of whole lines, without the last line break of each part."""
    begin = 0
    while begin < len(body):
        end = body.rfind(b"\n", begin, begin + json_slices.SLICE)
        if end < 0:
            end = body.find(b"\n", begin)
        if end < 0 or len(body) - begin <= json_slices.SLICE:
            end = len(body)
        yield body[begin:end]
        begin = end + 1


def _read_line(line: bytes) -> Item:
    try:
        return read_value(line)
    except Problem as problem:
        return problem.with_traceback(None)  # it is kept, and would keep the frames that raised it


def _check_count(count: int) -> None:
    if count == 0:
        raise BadEvent("The batch holds no events.")


def _too_many() -> EventTooLarge:
    return EventTooLarge(f"The batch holds more than {MAX_BATCH_ITEMS} events, the most that are accepted.")
