"""Decode entries written by Synapse quickly: entries with the same field names share one plan for reading them.

The counterpart of `fast_encoder.py`. Half of the about twenty parts of an entry are names, and Synapse added a third of
the values. All events of a kind have them at the same positions, which are found once, by `encoding`.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import compress
from typing import Generic, NamedTuple, TypeVar

from synapse.wire import encoding
from synapse.wire.encoding import DecodedEntry, TopLevelTypes

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SecondHitCache(Generic[K, T]):
    """A cache with a key for each kind of object, which stores a kind when it occurs for the second time.

    A full cache (`most` kinds) is emptied; kinds in use are stored again at once.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[K] = set()
        self.made: dict[K, T] = {}

    def seen_before(self, kind: K) -> bool:
        """Record an object of the kind, and say whether another one was recorded before."""
        if kind in self._seen:
            return True
        if len(self._seen) >= self._most:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def keep(self, kind: K, made: T) -> T:
        """Store the value of a kind, and return it."""
        if len(self.made) >= self._most:
            self.made.clear()
        self.made[kind] = made
        return made


_Names = tuple[bytes, ...]

# The greatest number of kinds that are cached, and the limits on the names of one and on their bytes in all.
_MOST, _NAMES, _BYTES = 1024, 80, 4096


class _Kind(NamedTuple):
    """The plan for reading entries that have the same names in the same order and the same `synapse_added`: the names
    of the event's properties, which values are theirs, and the positions of the other fields that are read."""

    properties: tuple[str, ...]
    are_properties: tuple[bool, ...]
    added: str
    added_at: int
    version_at: int
    timestamp_at: int | None
    source_at: int | None
    sender_at: int | None
    cloudevent_at: int | None


_EVENT_TYPE, _VERSION = b"event_type", encoding.VERSION.encode()

_kinds: SecondHitCache[_Names, _Kind] = SecondHitCache(_MOST)


def decode_parts(parts: Sequence[bytes], *, types_of: Mapping[str, TopLevelTypes] | None = None) -> DecodedEntry:
    """Decode an entry like `encoding.decode`, given the alternating names and values of a Redis reply."""
    names = tuple(parts[::2])
    kind = _kinds.made.get(names)
    if kind is not None:
        # With a byte that is not UTF-8, or a NUL in a value, the number of texts differs.
        values = _decode_utf8(parts[1::2])
        if len(values) == len(names) and values[kind.added_at] == kind.added:
            return _decode(kind, values)
    texts = _decode_utf8(parts)
    if len(texts) != len(parts):
        return encoding.decode(encoding.pairs(parts), types_of=types_of)
    if kind is None:
        _learn(names, texts)
    in_turn = iter(texts)
    return encoding.decode_texts(dict(zip(in_turn, in_turn, strict=True)), types_of=types_of)


def type_of_parts(parts: Sequence[bytes]) -> str | None:
    """Return the event type of an entry that Synapse wrote, without decoding the rest; None when `decode_parts` is
    needed."""
    names = parts[::2]
    if _VERSION not in names or names.count(_EVENT_TYPE) != 1:
        return None
    text = parts[2 * names.index(_EVENT_TYPE) + 1].decode("utf-8", "replace")
    # A text that may be JSON is read as the type that the entry declares for it.
    return None if text[:1] in encoding.JSON_BEGINS else text


def _decode_utf8(parts: Sequence[bytes]) -> list[str]:
    """Decode all parts with one call, because a call for each part takes most of the time."""
    try:
        return b"\0".join(parts).decode().split("\0")
    except UnicodeDecodeError:
        return []


def _decode(kind: _Kind, values: Sequence[str]) -> DecodedEntry:
    event = {
        name: text if text[:1] not in encoding.JSON_BEGINS else encoding.read(text)
        for name, text in zip(kind.properties, compress(values, kind.are_properties), strict=True)
    }
    timestamp, source = event.get("timestamp"), event.get("source")
    event_type = event.get("event_type")
    return DecodedEntry._make(
        (
            event,
            event_type if isinstance(event_type, str) else "",
            timestamp if isinstance(timestamp, str) and timestamp else _value_at(values, kind.timestamp_at),
            (source if isinstance(source, str) else "")
            or _value_at(values, kind.source_at)
            or _value_at(values, kind.sender_at),
            encoding.version_of(values[kind.version_at]),
            "flat",
            None if kind.cloudevent_at is None else encoding.attributes_of(values[kind.cloudevent_at]),
        )
    )


def _value_at(values: Sequence[str], place: int | None) -> str | None:
    return None if place is None else values[place]


def _learn(names: _Names, texts: Sequence[str]) -> None:
    """Learn the kind of an entry written by Synapse in the layout `flat`, when the kind comes for the second time."""
    if len(names) > _NAMES or sum(map(len, names)) > _BYTES:
        return
    own = texts[::2]
    if not {encoding.VERSION, encoding.ADDED}.issubset(own) or not {encoding.LAYOUT, encoding.TYPES}.isdisjoint(own):
        return
    if len(set(own)) < len(own) or not _kinds.seen_before(names):
        return
    place = {name: at for at, name in enumerate(own)}
    added = texts[1::2][place[encoding.ADDED]]
    are_properties = tuple(encoding.is_property(name, added) for name in own)
    kind = _Kind(
        properties=tuple(compress(own, are_properties)),
        are_properties=are_properties,
        added=added,
        added_at=place[encoding.ADDED],
        version_at=place[encoding.VERSION],
        timestamp_at=place.get("timestamp"),
        source_at=place.get("source"),
        sender_at=place.get("sender"),
        cloudevent_at=place.get(encoding.CLOUDEVENT),
    )
    _kinds.keep(names, kind)
