"""Where a connection is in each of its streams, as one text for clients: the id of its frames.

The text names streams by tags, so its length does not depend on their names, and by the ids of entries in base 16:
`v1~3f2a9c01de19b2c3d4e5f-1`. `v1*` begins that of a connection that watches all streams.
"""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from synapse.formats.text import tag_of
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, EntryId

# Each stream of a connection has a read loop with a connection to Redis, and a place in the id of each frame.
MOST_STREAMS = 100
# The head of a request has at most 16 KiB. A place has at most 44 characters, and usually 22.
LONGEST = 4500
# A stream that comes later is followed from so long before the newest known event: until a process notices a new
# stream, and for clocks that differ. Milliseconds.
_MARGIN_MS = 10_000
_NAMED, _ALL = "v1", "v1*"
_PLACE = re.compile(r"([0-9a-f]{10})([0-9a-f]{1,16})(?:-([0-9a-f]{1,16}))?", re.ASCII)

_tag_of = lru_cache(maxsize=10_000)(tag_of)


class Passed(Protocol):
    """Something that was sent of a stream, and the place behind it.

    Attributes:
        stream: the name of the stream.
        id: after which the stream continues.
        place: the same within a text of positions.
    """

    @property
    def stream(self) -> str: ...
    @property
    def id(self) -> EntryId: ...
    @property
    def place(self) -> bytes: ...


def place_of(stream: str, id_: EntryId) -> bytes:
    """Return the place of a stream within a text of positions."""
    return _place(_tag_of(stream), id_)


def _place(tag: str, id_: EntryId) -> bytes:
    sequence = f"-{id_.sequence:x}" if id_.sequence else ""
    return f"~{tag}{id_.ms:x}{sequence}".encode()


class Positions:
    """The position in each stream of a connection.

    Attributes:
        of_all: whether the connection watches all streams, with those that come later.
    """

    def __init__(self) -> None:
        self.of_all = False
        self._ids: dict[str, EntryId] = {}
        self._places: dict[str, bytes] = {}
        # Of streams that are not followed yet, by their tags, and whether all streams will be.
        self._carried: dict[str, bytes] = {}
        self._carries_all = False

    def carry(self, positions: "ReadPositions") -> None:
        """Keep the positions of a connection before in the text, until their streams are followed here: a connection
        that breaks before that loses none of them."""
        followed = set(map(_tag_of, self._ids))
        self._carried |= {tag: _place(tag, id_) for tag, id_ in positions.places.items() if tag not in followed}
        self._carries_all = positions.of_all
        self._make_room()

    def drop_carried(self) -> None:
        """Keep nothing more of a connection before: all streams are followed."""
        self._carried.clear()
        self._carries_all = False

    def _make_room(self) -> None:
        while self._carried and len(self._carried) + len(self._ids) > MOST_STREAMS:
            self._carried.popitem()

    def of(self, stream: str) -> EntryId:
        """Return the position in a stream; its beginning, where none is known."""
        return self._ids.get(stream, FIRST)

    def set(self, stream: str, id_: EntryId) -> None:
        """Continue a stream, old or new, after an id."""
        self._ids[stream], self._places[stream] = id_, place_of(stream, id_)
        if self._carried:
            self._carried.pop(_tag_of(stream), None)
            self._make_room()

    def remove(self, stream: str) -> None:
        """Forget a stream."""
        self._ids.pop(stream, None)
        self._places.pop(stream, None)

    def passing(self, passed: Passed) -> bytes:
        """Move behind something that is sent of a stream, if the stream is still followed, and return the text."""
        if passed.stream in self._ids:
            self._ids[passed.stream], self._places[passed.stream] = passed.id, passed.place
        return self.text

    def move(self, passed: Iterable[Passed]) -> None:
        """Move behind all that was sent or left out."""
        for each in passed:
            if each.stream in self._ids:
                self._ids[each.stream], self._places[each.stream] = each.id, each.place

    @property
    def text(self) -> bytes:
        """The text for clients."""
        head = b"v1*" if self.of_all or self._carries_all else b"v1"
        return b"".join((head, *self._places.values(), *self._carried.values()))


@dataclass(frozen=True, slots=True)
class ReadPositions:
    """The positions that a client sent: whether of all streams, and the position in each, by the stream's tag."""

    of_all: bool
    places: Mapping[str, EntryId]

    def without(self, streams: Iterable[str]) -> "ReadPositions":
        """Return the positions in all other streams."""
        tags = set(map(tag_of, streams))
        return replace(self, places={tag: id_ for tag, id_ in self.places.items() if tag not in tags})

    def of(self, stream: str) -> EntryId | None:
        """Return the position in a stream, None where none is named."""
        return self.places.get(tag_of(stream))

    def of_later_stream(self) -> EntryId:
        """Return where a stream begins that came after the text was written: shortly before its newest event, because
        the stream's first events may be as old."""
        newest = max((place.ms for place in self.places.values()), default=0)
        return EntryId(max(min(newest, _now_ms()) - _MARGIN_MS, 0), 0)


def of_new_stream() -> EntryId:
    """Return where a stream begins that was just noticed: its first events may be some seconds old."""
    return EntryId(max(_now_ms() - _MARGIN_MS, 0), 0)


def _now_ms() -> int:
    return int(time.time() * 1000)


def read_positions(text: str) -> ReadPositions:
    """Return the positions that a text has.

    Raises:
        BadParameter: when it is not the id of a frame of such a connection.
    """
    head, *places = text.split("~") if len(text) <= LONGEST else ["too long"]
    found = [_PLACE.fullmatch(each) for each in places[: MOST_STREAMS + 1]]
    known = {match[1]: EntryId(int(match[2], 16), int(match[3] or "0", 16)) for match in found if match is not None}
    # A place that is no place, named twice, or one too many makes the numbers differ.
    if head not in (_NAMED, _ALL) or not len(known) == len(places) <= MOST_STREAMS:
        raise BadParameter(
            "“Last-Event-ID” is not the id of a frame of this route. Send the last id that you received unchanged, 0 "
            "for all there is, or nothing to begin with new events.",
            parameter="last_event_id",
        )
    return ReadPositions(head == _ALL, known)
