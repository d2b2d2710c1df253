"""Dead letters as lines of JSON, in parts that fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from bridges.dead_letters.queries import MOST_LOOKED_AT, Order, walk
from bridges.dead_letters.redaction import seen_by
from synapse.auth.principal import SYSTEM, Principal
from synapse.dead_letters.dead_letter import Wanted
from synapse.dead_letters.serialization import whole

MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Lines of JSON, each with its end, of which dead letters, and past which id there may be more (None: that was
    all)."""

    lines: bytes
    ids: Sequence[str]
    next: str | None


def export(
    stream: str,
    group: str,
    wanted: Wanted = Wanted(),  # noqa: B008 - frozen
    *,
    order: Order = "newest",
    past: str = "",
    by: Principal = SYSTEM,
) -> Export:
    """Return those that are wanted with all that `by` may see of them: as many as fit into 32 MiB, of ten thousand.

    Raises:
        NoSuchDeadLetter: when `past` is no id.
        NotAStream, Unavailable: when Redis cannot be used for this.
    """
    lines = bytearray()
    ids: list[str] = []
    following = None
    for looked_at, letter in enumerate(walk(stream, group, order=order, past=past)):
        if looked_at == MOST_LOOKED_AT or len(lines) >= MOST_BYTES:
            return Export(lines=bytes(lines), ids=ids, next=following)
        following = letter.id
        if wanted.holds(letter):
            lines += orjson.dumps(whole(seen_by(letter, by)), option=orjson.OPT_APPEND_NEWLINE)
            ids.append(letter.id)
    return Export(lines=bytes(lines), ids=ids, next=None)
