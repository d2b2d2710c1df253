"""What actions on groups came to, and what moving one would."""

from dataclasses import dataclass


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
