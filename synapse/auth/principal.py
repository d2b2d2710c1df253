"""A caller: every request carries a principal, with the rights to publish, to read, and a scope for everything else.

Rights are values: `synapse.auth.key_rights` has those of keys, `synapse.auth.permission` those of people.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

Action = Literal["publish", "read"]
# In place of an event type: all event types of a stream. No event type has this name.
EVERY_TYPE = "*"


class Rights(Protocol):
    """The rights of one caller. A check makes no query: the rights are loaded with the caller."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        """Say whether the caller may publish or read events of the type.

        None asks for any type of the stream, `EVERY_TYPE` for all of them.
        """
        ...

    def has(self, scope: str) -> bool:
        """Say whether the caller has a scope, such as `registry:read` or `dead-letters:write`."""
        ...


def sees(rights: Rights, stream: str, event_type: str) -> bool:
    """Say whether the caller may read an event of a stream. An event without a type requires the right to all types."""
    return rights.may("read", stream, event_type or EVERY_TYPE)


class _Everything:
    """Unrestricted rights: of every caller where access is open, and of Synapse itself."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        return True

    def has(self, scope: str) -> bool:
        return True


class _Nothing:
    """The rights of an anonymous caller where access is not open."""

    def may(self, action: Action, stream: str, event_type: str | None = None) -> bool:
        return False

    def has(self, scope: str) -> bool:
        return False


# The scope that allows callers to see PII, and to remove marks of PII.
PERSONAL = "personal:read"

EVERYTHING: Rights = _Everything()
NOTHING: Rights = _Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller: anonymous, a service (a program), a person (a Django user), or Synapse itself.

    `name` is shown in audit records and as the `source` of an event. `key` is the id of the API key that was shown,
    never the key; `address` is the caller's IP address; `session` names a person's session, which is a secret. Each of
    the three is empty where there is none.
    """

    kind: Literal["anonymous", "service", "person", "system"]
    name: str
    key: str = ""
    address: str = ""
    rights: Rights = field(default=EVERYTHING, compare=False)
    session: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        return self.name if self.kind in ("anonymous", "system") else f"{self.kind}:{self.name}"


ANONYMOUS = Principal(kind="anonymous", name="anonymous")
SYSTEM = Principal(kind="system", name="synapse")
