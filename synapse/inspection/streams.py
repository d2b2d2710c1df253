"""The streams themselves: all of them, one of them, and what Redis says of one."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from synapse.auth.permission import demand_right, refused_right
from synapse.auth.principal import Rights
from synapse.catalog.stream_definitions import Snapshot, StreamDefinition
from synapse.catalog.stream_fields import STREAM_FIELDS
from synapse.errors.streams import UnknownStream
from synapse.http.exchange import Request, Response, json_response
from synapse.inspection import stream_stats
from synapse.inspection.range_query import check_parameters
from synapse.inspection.stream_stats import Figures, shown_entry
from synapse.redis import Conversation, in_parts

# Redis is asked about so many streams at a time.
_AT_ONCE = 50


def streams(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams`: every defined stream that the caller has to do with, by name."""
    check_parameters(request)
    rights = request.principal.rights
    visible = sorted(name for name in catalog.streams if is_visible(rights, name))
    found: list[orjson.Fragment] = []
    for begin in range(0, len(visible), _AT_ONCE):
        names = visible[begin : begin + _AT_ONCE]
        of_names = yield from stream_stats.of(names)
        yield ()  # many may have been answered at once
        described = partial(_written, catalog, of_names, rights)
        found += yield from in_parts(names, described)
    return json_response({"streams": found})


def one_stream(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}`: its definition and its figures."""
    stream = visible(request, catalog)
    check_parameters(request)
    found = yield from _figures(stream)
    return json_response(_described(stream, found, request.principal.rights))


def info(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}/info`: XINFO STREAM by Redis' own names, and what Synapse knows beside it."""
    stream = visible(request, catalog)
    check_parameters(request)
    found = (yield from _figures(stream)).seen_by(request.principal.rights, stream.name)
    ends = {end: shown_entry(found.info[end], stream) for end in ("first-entry", "last-entry")}
    about = {
        "name": stream.name,
        **definition(stream),
        "counters": found.counters,
        "refused_by_reason": found.refused_by_reason,
    }
    return json_response({**found.info, **ends, "synapse": about})


def visible(request: Request, catalog: Snapshot) -> StreamDefinition:
    """Return the stream that the path names, to whom may publish to it, or read from it.

    Raises:
        Forbidden: when the caller may do neither.
        UnknownStream: when none of this name is defined.
    """
    return visible_name(request, request.params["stream"], catalog)


def visible_name(request: Request, name: str, catalog: Snapshot) -> StreamDefinition:
    """Return the stream of a name, to whom may publish to it, or read from it.

    Raises:
        Forbidden, UnknownStream: as `visible`.
    """
    if not is_visible(request.principal.rights, name):
        raise refused_right(request.principal, "read", name)
    return _defined(name, catalog)


def readable(request: Request, catalog: Snapshot, *, otherwise: str = "") -> StreamDefinition:
    """Return the stream that the path names, to whom may read from it: some of its event types at least. The scope
    `otherwise` does instead.

    Raises:
        Forbidden: when the caller may not.
        UnknownStream: when none of this name is defined.
    """
    name = request.params["stream"]
    if not (otherwise and request.principal.rights.has(otherwise)):
        demand_right(request.principal, "read", name)
    return _defined(name, catalog)


def is_visible(rights: Rights, stream: str) -> bool:
    """Say whether a stream's definition and figures are for a caller with these rights."""
    return rights.may("read", stream) or rights.may("publish", stream) or rights.has("streams:read")


def _defined(name: str, catalog: Snapshot) -> StreamDefinition:
    stream = catalog.streams.get(name)
    if stream is None:
        raise UnknownStream(name)
    return stream


def definition(stream: StreamDefinition) -> dict[str, Any]:
    """Return a stream's definition as JSON; durations in seconds."""
    return {
        **{field.name: field.to_json(getattr(stream, field.name)) for field in STREAM_FIELDS},
        "event_types": [
            {
                "name": event_type.name,
                "contract": event_type.contract.subject if event_type.contract else None,
                "contract_version": event_type.contract.version if event_type.contract else None,
            }
            for event_type in sorted(stream.event_types.values(), key=lambda event_type: event_type.name)
        ],
    }


def _described(stream: StreamDefinition, found: Figures, rights: Rights) -> dict[str, Any]:
    return {"name": stream.name, **found.seen_by(rights, stream.name).summary(stream), **definition(stream)}


def _written(catalog: Snapshot, found: Mapping[str, Figures], rights: Rights, name: str) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(_described(catalog.streams[name], found[name], rights)))


def _figures(stream: StreamDefinition) -> Conversation[Figures]:
    found = (yield from stream_stats.of([stream.name]))[stream.name]
    if found.problem is not None:
        raise found.problem
    return found
