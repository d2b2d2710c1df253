"""The latest sample for viewers: its changes, by stream."""

import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from synapse.statistics.series import BY_NAME, BY_NUMBER, LAG_EVENTS, LAG_INEXACT, RETRIED, SUMS_OF, Series
from synapse.statistics.storage import Changes

_Told = dict[str, Any]
_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The changes of one step.

    Attributes:
        at: the time when the step begins, in seconds since 1970.
        follows: whether the step before was sampled, too; otherwise the growth of counters is unknown.
        streams: the changes of each stream, in the form of `GET /stats/live`.
    """

    at: int
    follows: bool
    streams: Mapping[str, Mapping[str, Any]]


def pack(at: int, changes: Mapping[str, Changes], *, follows: bool) -> bytes:
    """Return a sample as bytes, which `unpack` decodes."""
    told = {stream: found for stream, some in changes.items() if (found := _changes_as_json(some, follows=follows))}
    return zlib.compress(orjson.dumps({"at": at, "follows": follows, "streams": told}), 1)


def unpack(data: bytes) -> Sample | None:
    """Decode a sample; None when the bytes are not a sample."""
    try:
        return Sample(**orjson.loads(zlib.decompressobj().decompress(data, _MOST_BYTES)))
    except (zlib.error, ValueError, TypeError):
        return None


def frame(sample: Sample, streams: Iterable[str], *, names: Collection[str], step: int) -> bytes:
    """Return a sample as a server-sent event, with the series of these names (all series for no names) of these
    streams.
    """
    told = {stream: _of_names(sample.streams[stream], names) for stream in streams if stream in sample.streams}
    data = {"at": sample.at, "step": step, "follows": sample.follows, "streams": told}
    return b"id: %d\nevent: sample\ndata: %s\n\n" % (sample.at, orjson.dumps(data))


def _changes_as_json(changes: Changes, *, follows: bool) -> _Told:
    told: _Told = {}
    # When a group was not sampled before, the growth of its label's counter is unknown.
    new = {key.group for key, (before, _) in changes.items() if key.number == RETRIED.number and before is None}
    for key, (before, value) in changes.items():
        each = BY_NUMBER.get(key.number)
        if each is None:
            continue
        where = told.setdefault("groups", {}).setdefault(key.group, {}) if each.scope == "group" else told
        if each is LAG_INEXACT:
            where["lag_exact"] = not value
        elif each.kind == "gauge":
            scaled = None if value is None else each.from_stored(value)
            if each.label:
                where.setdefault(each.name, {})[key.label] = scaled
            else:
                where[each.name] = scaled
        elif follows and not (key.group in new and key.label) and (growth := growth_of(each, before, value)):
            if each.label:
                where.setdefault(each.name, {})[key.label] = growth
            else:
                where[each.name] = growth
            for number in SUMS_OF.get(key.number, ()):
                name = BY_NUMBER[number].name
                where[name] = where.get(name, 0) + growth
    return told


def growth_of(each: Series, before: int | None, value: int | None) -> int:
    """Return the growth of a counter. A counter that is less than before started over, and a new label was 0 before."""
    if value is None or (before is None and not each.label):
        return 0
    return value if before is None or value < before else value - before


def _of_names(told: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    if not names:
        return told
    found = {name: value for name, value in told.items() if name in names and BY_NAME[name].scope == "stream"}
    groups = {
        group: some
        for group, values in told.get("groups", {}).items()
        if (some := {name: value for name, value in values.items() if name in names or _is_exactness(name, names)})
    }
    return found | ({"groups": groups} if groups else {})


def _is_exactness(name: str, names: Collection[str]) -> bool:
    return name == "lag_exact" and LAG_EVENTS.name in names
