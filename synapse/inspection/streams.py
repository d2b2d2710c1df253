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
from synapse.inspection.stream_stats import StreamStatistics, entry_as_pair, stats_of
from synapse.redis import Conversation, map_cooperatively

# The number of streams that are read in one pipeline.
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
        yield ()  # other requests may have been answered in this round trip
        described = partial(_stream_as_json, catalog, of_names, rights)
        found += yield from map_cooperatively(names, described)
    return {"streams": found}


@_reads("GET", "/streams/{stream}", "Show a stream", Stream, requires=_VISIBLE, of_stream=True, has_entity_tag=True)
def show_stream(call: Call[Query, None]) -> Conversation[dict[str, Any]]:
    """A stream's definition and its statistics."""
    found = yield from _read_statistics(call.stream)
    return _stream_as_dict(call.stream, found, call.by.rights)


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
    found = (yield from _read_statistics(stream)).seen_by(call.by.rights, stream.name)
    ends = {end: entry_as_pair(found.info[end], stream) for end in ("first-entry", "last-entry")}
    about = {
        "name": stream.name,
        **definition_as_dict(stream),
        "counters": found.counters,
        "refused_by_reason": found.refused_by_reason,
    }
    return {**found.info, **ends, "synapse": about}


# The definitions as JSON, by name, each with a weak reference to its definition. Most answers about streams hold one.
_rendered: dict[str, tuple[ref[StreamDefinition], dict[str, Any]]] = {}


def definition_as_dict(stream: StreamDefinition) -> dict[str, Any]:
    """Return a stream's definition as JSON, with durations in seconds. The caller must not change it."""
    known, made = _rendered.get(stream.name, (None, {}))
    if known is None or known() is not stream:
        made = _render_definition(stream)
        _rendered[stream.name] = ref(stream, partial(_forget_rendered, stream.name)), made
    return made


def _forget_rendered(name: str, gone: ref[StreamDefinition]) -> None:
    if (known := _rendered.get(name)) is not None and known[0] is gone:
        del _rendered[name]


def _render_definition(stream: StreamDefinition) -> dict[str, Any]:
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


def _stream_as_dict(stream: StreamDefinition, found: StreamStatistics, rights: Rights) -> dict[str, Any]:
    return {"name": stream.name, **found.seen_by(rights, stream.name).summary(stream), **definition_as_dict(stream)}


def _stream_as_json(
    catalog: Snapshot, found: Mapping[str, StreamStatistics], rights: Rights, name: str
) -> orjson.Fragment:
    return orjson.Fragment(orjson.dumps(_stream_as_dict(catalog.streams[name], found[name], rights)))


def _read_statistics(stream: StreamDefinition) -> Conversation[StreamStatistics]:
    found = (yield from stats_of([stream.name]))[stream.name]
    if found.problem is not None:
        raise found.problem
    return found
