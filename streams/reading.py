"""The first step of publishing: from the body of a request to JSON values. No I/O, no Django."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from core import strict_json
from core.http import Request
from core.nothing import NO_TEXTS
from core.problems import BadRequest, Problem, UnsupportedMediaType
from streams.errors import BadEvent, EventTooLarge

MAX_EVENT_BYTES = 256 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ITEMS = 10_000
CONTRACT_VERSION = "Synapse-Contract-Version"
_HIGHEST_VERSION = 2**31 - 1
JSON, NDJSON = "application/json", "application/x-ndjson"

# A problem stands where an item could not be read.
Item = Any | Problem


class Body(NamedTuple):
    """What a request brought: the values in their order, and whether they came as a batch.

    `beside` is what was said about a single event and is no part of it, as `entry.encode` takes it.
    """

    items: list[Item]
    batch: bool
    beside: Mapping[str, str] = NO_TEXTS


def read(request: Request) -> Body:
    """Return the values of the request's body.

    Raises:
        UnsupportedMediaType: when it is neither JSON nor NDJSON in UTF-8.
        EventTooLarge: when it is over a limit.
        BadEvent: when it cannot be read as a whole. A line of NDJSON that cannot be read is an item of its own.
    """
    _check_encoding(request.headers.get("content-encoding", ""))
    kind = _content_type(request.headers.get("content-type", ""))
    body = request.body
    if kind == NDJSON:
        return Body(items=_lines(body), batch=True)
    if body.lstrip()[:1] == b"[":
        return Body(items=_array(body), batch=True)
    return Body(items=[_value(body)], batch=False)


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


def _check_encoding(header: str) -> None:
    if header.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(
            f"Send the body as it is: the content coding “{header[:100]}” is not read here (RFC 9110, 8.4)."
        )


@lru_cache(maxsize=64)
def _content_type(header: str) -> str:
    kind, *parameters = (part.strip().lower() for part in header.split(";"))
    if kind not in (JSON, NDJSON):
        sent = f"this is “{kind[:100]}”" if kind else "the request names none"
        raise UnsupportedMediaType(f"Send events with Content-Type {JSON} or {NDJSON}; {sent}.")
    for parameter in parameters:
        name, _, text = parameter.partition("=")
        if name == "charset" and text.strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMediaType("JSON is sent in UTF-8 (RFC 8259, 8.1).")
    return kind


def _value(data: bytes) -> Any:
    if len(data) > MAX_EVENT_BYTES:
        raise EventTooLarge(f"The event is {len(data)} bytes long; at most {MAX_EVENT_BYTES} are accepted.")
    try:
        value = strict_json.loads(data)
        strict_json.check_size(value, len(data))
    except strict_json.BadJSON as error:
        raise BadEvent(str(error)) from None
    return value


def within_limits(event: Any) -> Any:
    """Return an event that came another way than by a request, held to what a request is held to.

    Raises:
        EventTooLarge: when it is over a limit.
        BadEvent: when it could not have been read as JSON.
    """
    try:
        return _value(orjson.dumps(event))
    except orjson.JSONEncodeError as error:
        raise BadEvent(f"The event cannot be written as JSON: {error}.") from None


def _array(body: bytes) -> list[Item]:
    _check_batch(body)
    try:
        # The array itself is one level more than its events.
        values = strict_json.loads(body, max_depth=strict_json.MAX_DEPTH + 1)
    except strict_json.BadJSON as error:
        raise BadEvent(str(error)) from None
    _check_count(len(values))
    if len(body) <= strict_json.SMALL:
        return list(values)
    sizes = [len(orjson.dumps(value)) for value in values]
    if max(sizes, default=0) <= strict_json.SMALL:
        return list(values)
    return [_within_limits(value, size) for value, size in zip(values, sizes, strict=True)]


def _within_limits(value: Any, size: int) -> Item:
    if size > MAX_EVENT_BYTES:
        return EventTooLarge(f"The event is {size} bytes long; at most {MAX_EVENT_BYTES} are accepted.")
    try:
        strict_json.check_size(value, size)
    except strict_json.BadJSON as error:
        return BadEvent(str(error))
    return value


def _lines(body: bytes) -> list[Item]:
    _check_batch(body)
    # Only LF ends a line; white space around a value is JSON's own, and empty lines are passed over.
    lines = [line for line in body.split(b"\n") if line.strip()]
    _check_count(len(lines))
    return [_line(line) for line in lines]


def _line(line: bytes) -> Item:
    try:
        return _value(line)
    except Problem as problem:
        return problem.with_traceback(None)  # it is kept, and would keep the frames that raised it


def _check_batch(body: bytes) -> None:
    if len(body) > MAX_BATCH_BYTES:
        raise EventTooLarge(f"The batch is {len(body)} bytes long; at most {MAX_BATCH_BYTES} are accepted.")


def _check_count(count: int) -> None:
    if count == 0:
        raise BadEvent("The batch holds no events.")
    if count > MAX_BATCH_ITEMS:
        raise EventTooLarge(f"The batch holds {count} events; at most {MAX_BATCH_ITEMS} are accepted.")
