"""How far groups are behind, counted from the entries themselves. No I/O, no Django.

Redis' own figure is never used: it is absent before 7.0, null after a deletion, and wrong in some versions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from streams.asking import answer, ask
from streams.broker.command import Conversation
from streams.ids import Range, following, parse
from streams.scanning import MOST_ENTRIES, Scan

# A stream and a group of it.
Name = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """What a group has not read yet: how many events (at least so many, unless `exact`), and since when (ms)."""

    events: int
    exact: bool
    since: int | None

    def seconds(self, now_ms: float) -> float:
        """Return the age of the oldest event that the group has not read, 0 when it has read all."""
        return 0.0 if self.since is None else round(max(0.0, now_ms - self.since) / 1000, 3)


def of(groups: Mapping[Name, str], *, most: int = MOST_ENTRIES) -> Conversation[dict[Name, Lag]]:
    """Find out the lag of each group from the last id that was delivered to it, counting to `most`.

    Raises:
        NotAStream: when a key holds something else.
        Unavailable: when Redis cannot be used.
    """
    scans = {
        (stream, group): Scan(stream, Range(first=following(parse(delivered))), most=most)
        for (stream, group), delivered in groups.items()
    }
    since: dict[Name, int] = {}
    while going_on := [name for name, scan in scans.items() if not scan.done]:
        replies = yield from ask([scans[name].command() for name in going_on])
        for name, reply in zip(going_on, replies, strict=True):
            entries = scans[name].take(answer(reply, name[0], absent=[]))
            if entries:
                since.setdefault(name, parse(entries[0].id).ms)
    return {name: Lag(events=scan.entries, exact=scan.exhausted, since=since.get(name)) for name, scan in scans.items()}
