"""The position of a connection in each of its streams, as one text for clients: the id of its frames.

The text has a tag for each stream, so that its length does not depend on their names, and the ids of entries in base
16: `v1~3f2a9c01de19b2c3d4e5f-1`. It begins with `v1*` for a connection that watches all streams.
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

# Each stream of a connection costs a read loop with a connection to Redis, and a part of the id of each frame.
MOST_STREAMS = 100
# The head of a request has at most 16 KiB. The part of a stream has at most 44 characters, and usually 22.
LONGEST = 4500
# A stream that is defined later is followed from this time (milliseconds) before the newest known event: a process
# needs time to notice the stream, and clocks differ.
_MARGIN_MS = 10_000
_NAMED, _ALL = "v1", "v1*"
_PART = re.compile(r"([0-9a-f]{10})([0-9a-f]{1,16})(?:-([0-9a-f]{1,16}))?", re.ASCII)

_tag_of = lru_cache(maxsize=10_000)(tag_of)


class SentItem(Protocol):
    """An item of a stream that is sent to a client, and the position behind it.

    Attributes:
        stream: the name of the stream.
        id: the id after which the stream continues.
        part: the position, encoded as a part of the text.
    """

    @property
    def stream(self) -> str: ...
    @property
    def id(self) -> EntryId: ...
    @property
    def part(self) -> bytes: ...


def encode_position(stream: str, id_: EntryId) -> bytes:
    """Return the part of the text for the position in a stream."""
    return _encode_part(_tag_of(stream), id_)


def _encode_part(tag: str, id_: EntryId) -> bytes:
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
        self._parts: dict[str, bytes] = {}
        # Positions of an earlier connection by tag, for streams that are not followed yet; and whether it watched all
        # streams.
        self._earlier: dict[str, bytes] = {}
        self._earlier_of_all = False

    def keep_earlier(self, positions: "ReadPositions") -> None:
        """Keep the positions of an earlier connection in the text until their streams are followed here, so that a
        connection that breaks before then loses none of them.
        """
        followed = set(map(_tag_of, self._ids))
        self._earlier |= {tag: _encode_part(tag, id_) for tag, id_ in positions.ids.items() if tag not in followed}
        self._earlier_of_all = positions.of_all
        self._make_room()

    def drop_earlier(self) -> None:
        """Drop the positions of the earlier connection: all its streams are followed now."""
        self._earlier.clear()
        self._earlier_of_all = False

    def _make_room(self) -> None:
        while self._earlier and len(self._earlier) + len(self._ids) > MOST_STREAMS:
            self._earlier.popitem()

    def position_of(self, stream: str) -> EntryId:
        """Return the position in a stream, 0-0 when none is known."""
        return self._ids.get(stream, FIRST)

    def set(self, stream: str, id_: EntryId) -> None:
        """Set the position in a stream, new or already followed."""
        self._ids[stream], self._parts[stream] = id_, encode_position(stream, id_)
        if self._earlier:
            self._earlier.pop(_tag_of(stream), None)
            self._make_room()

    def remove(self, stream: str) -> None:
        """Forget a stream."""
        self._ids.pop(stream, None)
        self._parts.pop(stream, None)

    def advance(self, item: SentItem) -> bytes:
        """Move behind an item, if its stream is still followed, and return the text."""
        if item.stream in self._ids:
            self._ids[item.stream], self._parts[item.stream] = item.id, item.part
        return self.text

    def advance_all(self, items: Iterable[SentItem]) -> None:
        """Move behind all items that were sent or left out."""
        for item in items:
            if item.stream in self._ids:
                self._ids[item.stream], self._parts[item.stream] = item.id, item.part

    @property
    def text(self) -> bytes:
        """The text for clients."""
        head = b"v1*" if self.of_all or self._earlier_of_all else b"v1"
        return b"".join((head, *self._parts.values(), *self._earlier.values()))


@dataclass(frozen=True, slots=True)
class ReadPositions:
    """The positions that a client sent, by the tags of the streams. `of_all` is true when they are those of all
    streams.
    """

    of_all: bool
    ids: Mapping[str, EntryId]

    def without(self, streams: Iterable[str]) -> "ReadPositions":
        """Return the positions without those of `streams`."""
        tags = set(map(tag_of, streams))
        return replace(self, ids={tag: id_ for tag, id_ in self.ids.items() if tag not in tags})

    def position_of(self, stream: str) -> EntryId | None:
        """Return the position in a stream, None when the text has none."""
        return self.ids.get(tag_of(stream))

    def start_of_later_stream(self) -> EntryId:
        """Return the position at which to begin a stream that was defined after the text was written: shortly before
        the newest event in the text, because the stream's first events may be that old.
        """
        newest = max((id_.ms for id_ in self.ids.values()), default=0)
        return EntryId(max(min(newest, _now_ms()) - _MARGIN_MS, 0), 0)


def start_of_new_stream() -> EntryId:
    """Return the position at which to begin a stream that was just noticed: its first events may be some seconds
    old.
    """
    return EntryId(max(_now_ms() - _MARGIN_MS, 0), 0)


def _now_ms() -> int:
    return int(time.time() * 1000)


def parse_positions(text: str) -> ReadPositions:
    """Parse the positions in a text.

    Raises:
        BadParameter: when the text is not the id of a frame of a connection that watches many streams.
    """
    head, *parts = text.split("~") if len(text) <= LONGEST else ["too long"]
    found = [_PART.fullmatch(each) for each in parts[: MOST_STREAMS + 1]]
    known = {match[1]: EntryId(int(match[2], 16), int(match[3] or "0", 16)) for match in found if match is not None}
    # The numbers differ when a part is invalid, a stream occurs twice, or there are too many parts.
    if head not in (_NAMED, _ALL) or not len(known) == len(parts) <= MOST_STREAMS:
        raise BadParameter(
            "“Last-Event-ID” is not the id of a frame of this route. Send the last id that you received unchanged, 0 "
            "for all there is, or nothing to begin with new events.",
            parameter="last_event_id",
        )
    return ReadPositions(head == _ALL, known)
