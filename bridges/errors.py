"""What can go wrong with bridges.

Problem
├── NotDefined        no stream of the catalog has this name
├── BadPosition       this is no place in a stream to begin at
└── GroupExists       the group is there already: where it begins was decided when it was made

GroupLost             the group, or its stream, is gone from Redis

SinkError             a sink did not take an event
└── SinkGone          the sink takes nothing any more
"""

from core.problems import Problem


class NotDefined(Problem):
    """No stream of the catalog has this name."""

    status = 404
    slug = "unknown-stream"
    title = "No stream has this name"


class BadPosition(Problem):
    """This is no place in a stream to begin at."""

    status = 400
    slug = "bad-position"
    title = "This is no place in a stream to begin at"


class GroupExists(Problem):
    """The group is there already: where it begins was decided when it was made."""

    status = 409
    slug = "group-exists"
    title = "The group is there already"


class GroupLost(Exception):
    """The group, or its stream, is gone from Redis: deleted, flushed, or never written to a disk."""


class SinkError(Exception):
    """A sink did not take an event; the message says why. `permanent`: it never will, trying again is of no use."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class SinkGone(SinkError):
    """The sink takes nothing any more, this event included. An empty message: that is nothing to worry about."""
