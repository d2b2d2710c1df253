"""The commands of refused events: counting them by kind, and reading the kinds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_NOTE = load_script("note_refusals")
# The number of kinds that are kept for a stream, and the time for which they are kept after the last refused event.
MOST_KINDS, KEPT_MS = 200, 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalKind:
    """Refused events that are counted together.

    Attributes:
        digest: identifies the kind.
        count: the number of events.
        first_ms, last_ms: the times of the first and the last refusal, in milliseconds since 1970.
        known: JSON of the common properties, and of the properties of the last refused event.
        sample: JSON of one refused event, b"" for none.
    """

    digest: str
    count: int
    first_ms: int
    last_ms: int
    known: bytes
    sample: bytes = b""


def note_refusals(stream: str, kinds: Iterable[RefusalKind]) -> Command:
    """Add refused events to those that are recorded for a stream."""
    words: list[Argument] = [MOST_KINDS, KEPT_MS]
    for kind in kinds:
        words += [kind.digest, kind.count, kind.first_ms, kind.last_ms, kind.known, kind.sample]
    return _NOTE.call([keyspace.refusals(stream), keyspace.refusal_details(stream)], words)


def read_refusals(stream: str) -> list[Command]:
    """Return the commands whose replies `kinds_of` parses."""
    return [
        Command(("ZRANGE", keyspace.refusals(stream), 0, -1, "REV", "WITHSCORES")),
        Command(("HGETALL", keyspace.refusal_details(stream))),
    ]


def kinds_of(latest: Sequence[bytes], fields: Sequence[bytes]) -> list[RefusalKind]:
    """Parse the replies to `read_refusals` to kinds, the one with the latest refusal first."""
    values = dict(zip(fields[::2], fields[1::2], strict=True))
    found = []
    for digest, score in zip(latest[::2], latest[1::2], strict=True):
        count, first, known, sample = (
            values.get(digest + name) for name in (b":count", b":first", b":known", b":sample")
        )
        if count and first and known:
            found.append(
                RefusalKind(
                    digest=digest.decode(),
                    count=int(count),
                    first_ms=int(first),
                    last_ms=int(float(score)),
                    known=known,
                    sample=sample or b"",
                )
            )
    return found
