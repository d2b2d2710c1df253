"""Who is calling. Every request carries a principal; until access control is switched on it is `ANONYMOUS`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A caller: nobody in particular, a service (a program), a person (a Django user), or Synapse itself.

    `name` is what audit records and the `source` of an event show.
    """

    kind: Literal["anonymous", "service", "person", "system"]
    name: str

    def __str__(self) -> str:
        return self.name if self.kind in ("anonymous", "system") else f"{self.kind}:{self.name}"


ANONYMOUS = Principal(kind="anonymous", name="anonymous")
SYSTEM = Principal(kind="system", name="synapse")
