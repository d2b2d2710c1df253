"""Where a group is to begin, or to go on, as a person writes it. Pure."""

from datetime import datetime

from synapse.errors.delivery import BadPosition
from synapse.redis.commands.groups import END
from synapse.wire import start_position
from synapse.wire.ids import EntryId, parse


def asked(text: str, *, now: datetime) -> str:
    """Return the id after which the group goes on, or the `END`.

    `text` is `beginning`, `end` (or `new`), an entry's id, or a time; an entry of that id or time is included.

    Raises:
        BadPosition: for anything else, and for what is still to come.
    """
    if text in ("end", "new"):
        return END
    after = start_position.start_of(text, now=now)
    if parse_full(after).ms > now.timestamp() * 1000 + 1:
        raise BadPosition(f"“{text[:100]}” is still to come. To go on with what is published from now on: end.")
    return str(parse_full(after))


def parse_full(id_: str) -> EntryId:
    """Return an id, also one that is written without its second part."""
    return parse(id_ if "-" in id_ else f"{id_}-0")
