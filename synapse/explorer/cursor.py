"""The cursor of a search over several streams: a text for clients, with the position in each stream.

Entries of all streams have one order: by id, then by their stream's tag. So the id and tag of the last examined entry
are the position in each stream. From newest to oldest they suffice, since later entries are newer. From oldest to
newest, a stream that had ended may get entries with lower ids than that of the last entry, since ids are made of the
time: such a stream has its own position. And entries may be trimmed before they are examined: so the cursor has the id
of the next entry of each other stream, to detect that it is missing.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from synapse.formats.text import tag_of
from synapse.inspection.range_query import Order
from synapse.problems import BadParameter
from synapse.wire.ids import FIRST, LAST, MOST, NOTHING, EntryId, Range, following, preceding

LONGEST = 12_000  # the head of a request has at most 16 KiB
_POSITION = re.compile(r"([0-9]{1,20})-([0-9]{1,20})", re.ASCII)
_LISTED = re.compile(r"([0-9a-f]{10})(?:([._])([0-9]{1,20})-([0-9]{1,20}))?", re.ASCII)
_TAG = re.compile(r"[0-9a-f]{10}", re.ASCII)


def search_tag(asked: Collection[str], order: Order) -> str:
    """Return the tag that identifies a search in its cursors: a digest of the requested streams and the order."""
    return tag_of("\n".join([order, *sorted(asked)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The position at which a search continues.

    Attributes:
        search: the search that it belongs to, as `search_tag` names it.
        id: the id of the last examined entry.
        tag: the tag of that entry's stream.
        begins: by tag, the first id to read, for streams that had ended before that entry.
        heads: by tag, the id of the next entry, for streams that had not ended.
    """

    search: str
    id: EntryId
    tag: str
    begins: Mapping[str, EntryId] = field(default_factory=dict)
    heads: Mapping[str, EntryId] = field(default_factory=dict)

    def range_left(self, part: Range, stream: str, order: Order) -> Range:
        """Return the part of a range that is not read yet in a stream."""
        tag = tag_of(stream)
        if order == "newest":
            # From newest to oldest, higher tags come first.
            last = self.id if tag < self.tag else preceding(self.id)
            return Range(first=part.first, last=min(part.last, last))
        first = self.begins.get(tag) or self.first_after(tag)
        return NOTHING if first is None else Range(first=max(part.first, first), last=part.last)

    def first_after(self, tag: str) -> EntryId | None:
        """Return the first id of a stream after the last examined entry, from oldest to newest; None when there is
        none.
        """
        if tag > self.tag:
            return self.id
        return None if self.id == LAST else following(self.id)

    def __str__(self) -> str:
        """Return the text for clients, of at most `LONGEST` characters.

        Real searches do not reach the limit: the ids would have to be years apart. If the id of a next entry does not
        fit, trimming that entry is not detected; a stream whose position does not fit continues after the last entry.
        """
        # Times are relative to the last entry, to be short: earlier ones with “.”, later ones with “_”.
        begins = (
            f"~{tag}" if first == FIRST else f"~{tag}.{max(self.id.ms - first.ms, 0)}-{first.sequence}"
            for tag, first in sorted(self.begins.items())
        )
        heads = (f"~{tag}_{max(head.ms - self.id.ms, 0)}-{head.sequence}" for tag, head in sorted(self.heads.items()))
        text = f"{self.search}~{self.id}~{self.tag}"
        for each in (*begins, *heads):
            if len(text) + len(each) <= LONGEST:
                text += each
        return text


def read_cursor(text: str, search: str) -> Cursor | None:
    """Parse a cursor of the search with this tag; None for an empty text.

    Raises:
        BadParameter: when it cannot be the cursor of an answer to this search.
    """
    if not text:
        return None
    found = _parse_cursor(text) if len(text) <= LONGEST else None
    if found is None:
        raise BadParameter(
            "“next” is not a cursor of an earlier response. Send `next` unchanged, or leave it out.", parameter="next"
        )
    if found.search != search:
        raise BadParameter(
            "“next” continues another search. Send it with the “stream” and “order” of the request that it answers.",
            parameter="next",
        )
    return found


def _parse_cursor(text: str) -> Cursor | None:
    search, *range_left = text.split("~")
    if len(range_left) < 2:
        return None
    position, tag, *listed = range_left
    at, known = _POSITION.fullmatch(position), [_LISTED.fullmatch(each) for each in listed]
    if at is None or None in known or not (_TAG.fullmatch(search) and _TAG.fullmatch(tag)):
        return None
    id_ = EntryId(int(at[1]), int(at[2]))
    begins: dict[str, EntryId] = {}
    heads: dict[str, EntryId] = {}
    for each in filter(None, known):
        tag_, sign, ms, sequence = each.groups()
        if sign == "_":
            heads[tag_] = EntryId(id_.ms + int(ms), int(sequence))
        else:
            begins[tag_] = FIRST if sign is None else EntryId(id_.ms - int(ms), int(sequence))
    if any(not (0 <= each.ms <= MOST and each.sequence <= MOST) for each in (id_, *begins.values(), *heads.values())):
        return None
    return Cursor(search=search, id=id_, tag=tag, begins=begins, heads=heads)
