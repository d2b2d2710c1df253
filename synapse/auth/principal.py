"""Who is calling. Every request carries a principal."""

from dataclasses import dataclass, field
from typing import Literal

from synapse.auth.rights import EVERYTHING, Rights


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller: nobody in particular, a service (a program), a person (a Django user), or Synapse itself.

    `name` is what audit records and the `source` of an event show. `key` is the id of the API key that was shown, never
    the key; `address` is the IP address of who asks; `session` names a person's session, which is a secret. All three
    are empty where there is none.
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
