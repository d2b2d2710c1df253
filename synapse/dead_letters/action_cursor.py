"""Where an action on many goes on: past which dead letter, and when those that were sent out before are due. Pure."""

import re
from dataclasses import dataclass

from synapse.dead_letters.dead_letter import is_id
from synapse.problems import BadParameter

_TEXT = re.compile(r"([0-9-]+)(?:~([0-9]{1,15}))?")


@dataclass(frozen=True, slots=True)
class Cursor:
    """`past` is an id, "" at the beginning. `due_ms` (since 1970): until then all is given to others."""

    past: str = ""
    due_ms: int = 0

    def __str__(self) -> str:
        return f"{self.past}~{self.due_ms}" if self.due_ms else self.past


def read(text: str) -> Cursor:
    """Return the cursor that a text is; "" is the beginning.

    Raises:
        BadParameter: when an earlier answer cannot have given it.
    """
    if not text:
        return Cursor()
    found = _TEXT.fullmatch(text)
    if found is None or not is_id(found[1]):
        raise BadParameter("“cursor” is what the answer before gave as its cursor.", parameter="cursor")
    return Cursor(found[1], int(found[2] or 0))
