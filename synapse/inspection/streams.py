"""Endpoints for streams: all of them, one of them, and XINFO of one."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from weakref import ref

import orjson

from synapse.auth.permission import Requirement, is_visible
from synapse.auth.principal import Rights
from synapse.catalog.ownership import OWNERSHIP_FIELDS
from synapse.catalog.stream_definitions import STREAM_FIELDS, Snapshot, StreamDefinition
from synapse.endpoints import Call, Query, endpoint
from synapse.inspection.answers import Info, Stream, Streams
from synapse.inspection.stream_stats import StreamStatistics, shown_entry, stats_of
from synapse.redis import Conversation, map_cooperatively

# The number of streams in one request to Redis.
_AT_ONCE = 50


READ = Requirement(read=True)
_VISIBLE = Requirement(visible=True)


_reads = partial(endpoint, tag="streams", query=Query)


@_reads("GET", "/streams", "List the streams", Streams, on_event_loop=True, has_entity_tag=True)
def list_streams(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """Lists every defined stream that is visible to the caller, with its definition and its statistics, by name. A
    stream whose statistics cannot be read has the reason in `error`; the other streams are complete."""
    catalog, rights = call.catalog, call.by.rights
    visible = sorted(name for name in catalog.streams if is_visible(rights, name))
    found: list[orjson.Fragment] = []
    for begin in range(0, len(visible), _AT_ONCE):
        names = visible[begin : begin + _AT_ONCE]
        of_names = yield from stats_of(names)
        yield ()  # many may have been answered at once
        described = partial(_written, catalog, of_names, rights)
        found += yield from map_cooperatively(names, described)
    return {"streams": found}


@_reads("GET", "/streams/{stream}", "Show a stream", Stream, requires=_VISIBLE, of_stream=True, has_entity_tag=True)
def show_stream(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """A stream's definition and its statistics."""
    found = yield from _figures(call.stream)
    return _described(call.stream, found, call.by.rights)


@_reads(
    "GET",
    "/streams/{stream}/info",
    "Show the state of a stream in Redis",
    Info,
    requires=_VISIBLE,
    of_stream=True,
    on_event_loop=True,
)
def stream_info(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """The response of XINFO STREAM by Redis' own names, and Synapse's own data on the stream in `synapse`. Names that
    older servers leave out are 0."""
    stream = call.stream
    found = (yield from _figures(stream)).seen_by(call.by.rights, stream.name)
    ends = {end: shown_entry(found.info[end], stream) for end in ("first-entry", "last-entry")}
    about = {
        "name": stream.name,
        **definition(stream),
        "counters": found.counters,
        "refused_by_reason": found.refused_by_reason,
    }
    return {**found.info, **ends, "synapse": about}


# By name: definitions, as long as a snapshot holds them, and what was made of them. Most answers about streams hold it.
_made: dict[str, tuple[ref[StreamDefinition], dict[str, Any]]] = {}


def definition(stream: StreamDefinition) -> dict[str, Any]:
    """Return a stream's definition as JSON, not to be changed; durations in seconds."""
    known, made = _made.get(stream.name, (None, {}))
    if known is None or known() is not stream:
        made = _definition(stream)
        _made[stream.name] = ref(stream, partial(_forget, stream.name)), made
    return made


def _forget(name: str, gone: ref[StreamDefinition]) -> None:
    if (known := _made.get(name)) is not None and known[0] is gone:
        del _made[name]


def _definition(stream: StreamDefinition) -> dict[str, Any]:
    return {
        **{field.name: field.to_json(getattr(stream, field.name)) for field in STREAM_FIELDS},
        "event_types": [
            {
                "name": event_type.name,
                **{field.name: field.to_json(getattr(event_type, field.name)) for field in OWNERSHIP_FIELDS},
                "contract": event_type.contract.subject if event_type.contract else None,
                "contract_version": event_type.contract.version if event_type.contract else None,
            }
            for event_type in sorted(stream.event_types.values(), key=lambda event_type: event_type.name)
        ],
    }


def _described(stream: StreamDefinition, found: StreamStatistics, rights: Rights) -> dict[str, Any]:
    return {"name": stream.name, **found.seen_by(rights, stream.name).summary(stream), **definition(stream)}


def _written(catalog: Snapshot, found: Mapping[str, StreamStatistics], rights: Rights, name: str) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(_described(catalog.streams[name], found[name], rights)))


def _figures(stream: StreamDefinition) -> Conversation[StreamStatistics]:
    found = (yield from stats_of([stream.name]))[stream.name]
    if found.problem is not None:
        raise found.problem
    return found
