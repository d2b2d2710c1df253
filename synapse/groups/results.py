"""Results of actions on groups, and the target position of a move as a person writes it."""

from dataclasses import dataclass
from datetime import datetime

from synapse.errors.delivery import BadPosition
from synapse.redis.commands.groups import END
from synapse.wire import start_position
from synapse.wire.ids import EntryId, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A group that was made: `after` is the id after which it begins."""

    stream: str
    group: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Whether a group rests now, and the bridge that says so. `changed`: it did not before."""

    stream: str
    group: str
    bridge: str
    paused: bool
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What moving a group would do.

    `before` and `after` are the ids after which it goes on now and then. `skips` unread events would not be delivered,
    `repeats` read ones would be unread again; both were counted to 10,000, and are `exact` unless there are more.
    `pending`, `waiting` and `parked` have not been settled. They stay, but those that would be unread again, and, with
    `discards`, those up to `after`, which are forgotten. `hindrance` says why it cannot be done now, "" when it can.
    """

    before: str
    after: str
    skips: int
    repeats: int
    exact: bool
    pending: int
    waiting: int
    parked: int
    dead: int
    discards: bool
    hindrance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What moving a group did: `skipped` events will not be delivered to it, and `again` ones that it had not settled
    are unread again. `more`: it takes so long that it is on its way; the same again goes on."""

    before: str
    after: str
    skipped: int
    again: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What a deleted group was still owed: unread events as far as they were counted."""

    unread: int
    pending: int
    waiting: int
    parked: int
    dead: int


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
