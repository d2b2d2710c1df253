"""The streams themselves: all of them, one of them, and what Redis says of one."""

from typing import Any

from core.http import Request, Response, json_response
from streams import figures
from streams.broker.command import Conversation
from streams.definitions import Snapshot, StreamDefinition
from streams.errors import UnknownStream
from streams.figures import Figures, shown_entry


def streams(catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams`: every defined stream, by name."""
    found = yield from figures.of(sorted(catalog.streams))
    return json_response({"streams": [_described(catalog.streams[name], found[name]) for name in found]})


def one_stream(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}`: its definition and its figures."""
    stream = defined(request, catalog)
    found = yield from _figures(stream)
    return json_response(_described(stream, found))


def info(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}/info`: XINFO STREAM by Redis' own names, and what Synapse knows beside it."""
    stream = defined(request, catalog)
    found = yield from _figures(stream)
    ends = {end: shown_entry(found.info[end], stream) for end in ("first-entry", "last-entry")}
    about = {"name": stream.name, **definition(stream), "counters": found.counters}
    return json_response({**found.info, **ends, "synapse": about})


def defined(request: Request, catalog: Snapshot) -> StreamDefinition:
    """Return the stream that the path names.

    Raises:
        UnknownStream: when none of this name is defined.
    """
    name = request.params["stream"]
    stream = catalog.streams.get(name)
    if stream is None:
        raise UnknownStream(name)
    return stream


def definition(stream: StreamDefinition) -> dict[str, Any]:
    """Return a stream's definition as JSON; durations in seconds."""
    return {
        "purpose": stream.purpose,
        "layout": stream.layout,
        "enforcement": stream.enforcement,
        "unknown_event_types": stream.unknown_event_types,
        "max_length": stream.max_length,
        "max_age": None if stream.max_age is None else stream.max_age.total_seconds(),
        "hard_length": stream.hard_length,
        "when_full": stream.when_full,
        "idempotency_window": stream.idempotency_window.total_seconds(),
        "idempotency_key": stream.idempotency_key,
        "durability": stream.durability,
        "replicas": stream.replicas,
        "event_types": [
            {
                "name": event_type.name,
                "contract": event_type.contract.subject if event_type.contract else None,
                "contract_version": event_type.contract.version if event_type.contract else None,
            }
            for event_type in sorted(stream.event_types.values(), key=lambda event_type: event_type.name)
        ],
    }


def _described(stream: StreamDefinition, found: Figures) -> dict[str, Any]:
    return {"name": stream.name, **found.summary(stream), **definition(stream)}


def _figures(stream: StreamDefinition) -> Conversation[Figures]:
    found = (yield from figures.of([stream.name]))[stream.name]
    if found.problem is not None:
        raise found.problem
    return found
