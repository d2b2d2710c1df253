"""The errors that this package raises.

ModelkitError
├── InvalidEvent (also ValueError)      the event cannot be stored as JSON, or has no type
├── InvalidName (also ValueError)       a stream, group or consumer cannot have this name
└── StreamingError
    ├── NotConnected                    `connect()` was not called, or the client was closed
    ├── CannotConnect                   Redis could not be reached; nothing was sent
    ├── Refused                         Redis refused the command
    └── OutcomeUnknown                  the command was sent and no answer came

Only `OutcomeUnknown` leaves open whether an event was stored. After every other error it was not.
"""

from collections.abc import Sequence


class ModelkitError(Exception):
    """The base class of all errors of this package."""


class InvalidEvent(ModelkitError, ValueError):
    """The event cannot be stored: the message names the property and the reason. Sending it again changes nothing."""


class InvalidName(ModelkitError, ValueError):
    """The name is not valid for a stream, group, consumer or event type."""


class StreamingError(ModelkitError):
    """The base class of errors between this program and Redis."""


class NotConnected(StreamingError):
    """The client has no connection: call `connect()` first, or use `async with`."""


class CannotConnect(StreamingError):
    """Redis could not be reached, so nothing was sent. Trying again later is safe."""


class Refused(StreamingError):
    """Redis refused the command: rights, a wrong password, no memory, a replica. Nothing was stored.

    `reply` is Redis's error message. Only `publish_many` fills `entry_ids`: for each event in order its entry id, or
    None if that event was refused.
    """

    def __init__(self, message: str, *, reply: str = "", entry_ids: Sequence[str | None] = ()) -> None:
        super().__init__(message)
        self.reply = reply
        self.entry_ids = list(entry_ids)


class OutcomeUnknown(StreamingError):
    """The connection broke between the command and its answer, so the event may be stored or not.

    The client never sends it again by itself. A program that does may store the event twice.
    """
