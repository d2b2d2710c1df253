"""What a caller may do: publish to and read from streams, and a scope for everything else.

Nothing here decides who has which rights; that is `streams/access`. What is here is what every app may ask.
"""

from typing import Literal, Protocol

Action = Literal["publish", "read"]
# No event type has this name: only who may with all of them may with this one.
EVERY_TYPE = "*"


class Rights(Protocol):
    """The rights of one caller. Asking costs no query: the answer is known when the caller is."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        """Say whether the caller may do this with events of the type.

        None asks whether there is any type of the stream with which they may, `EVERY_TYPE` whether they may with all.
        """
        ...

    def has(self, scope: str) -> bool:
        """Say whether the caller has a scope, such as `registry:read` or `dead-letters:write`."""
        ...


def sees(rights: Rights, stream: str, event_type: str) -> bool:
    """Say whether the caller may read an event of a stream. One that names no type takes the right to all types."""
    return rights.may("read", stream, event_type or EVERY_TYPE)


class _Everything:
    """The rights of those whom nobody restricts: everybody where access is open, and Synapse itself."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        return True

    def has(self, scope: str) -> bool:
        return True


class _Nothing:
    """The rights of a stranger where access is not open."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        return False

    def has(self, scope: str) -> bool:
        return False


# The scope of those who may see what is personal, and so may take marks away.
PERSONAL = "personal:read"

EVERYTHING: Rights = _Everything()
NOTHING: Rights = _Nothing()
