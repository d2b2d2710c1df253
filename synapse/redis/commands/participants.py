"""The commands of publishers, readers and consumers: when each was last seen, and the reports of consumers.

A report expires unless it is repeated.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.command import Command, load_script

_READERS = load_script("readers")
# The number of latest publishers whose streams count as recently published to, and the longest time before the newest
# one.
_LATEST, _LATELY_MS = 500, 5_000

# A stream and the source of its events.
Publisher = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A group: its last delivered entry, and the milliseconds since the last request of a consumer (None without
    consumers).
    """

    group: str
    last_delivered_id: str
    pending: int
    idle: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """The groups of a stream, and the id of its latest entry ("0-0" before the first)."""

    last_id: str = "0-0"
    groups: tuple[Reader, ...] = ()


def note_publishers(seen: Mapping[Publisher, int]) -> Command:
    """Record the last time at which each source published (milliseconds since 1970). An older time changes nothing."""
    words = [word for (stream, source), ms in seen.items() for word in (ms, f"{stream} {source}")]
    return Command(("ZADD", keyspace.PUBLISHERS, "GT", *words))


def publishers() -> Command:
    """Read the recorded publishers: the time of the last publish (milliseconds since 1970) by `Publisher`."""
    return Command(("ZRANGE", keyspace.PUBLISHERS, 0, -1, "WITHSCORES"), parse=_parse_publishers)


def latest_publishers(count: int) -> Command:
    """Read the latest publishers, latest first, in the form of `publishers`."""
    return Command(("ZRANGE", keyspace.PUBLISHERS, 0, count - 1, "REV", "WITHSCORES"), parse=_parse_publishers)


def recently_published_streams() -> Command:
    """Read the names of the streams that were published to in the last seconds, from the latest publishers."""
    return Command(latest_publishers(_LATEST).words, parse=_parse_recent_streams)


def _parse_recent_streams(reply: Any) -> set[str]:
    published = _parse_publishers(reply)
    newest = max(published.values(), default=0)
    return {stream for (stream, _), ms in published.items() if ms > newest - _LATELY_MS}


def oldest_publishers(count: int) -> Command:
    """Read the names of the publishers that have not been seen for the longest time, for `forget_publishers`."""
    return Command(("ZRANGE", keyspace.PUBLISHERS, 0, count - 1))


def forget_publishers(names: Iterable[bytes]) -> Command:
    """Delete recorded publishers."""
    return Command(("ZREM", keyspace.PUBLISHERS, *names))


def readers_of(stream: str) -> Command:
    """Read the groups of a stream, and the time of the last request of each: `Readers`."""
    return _READERS.call([stream], [], parse=_parse_readers)


def _parse_publishers(reply: Any) -> dict[Publisher, int]:
    found = {}
    for name, score in zip(reply[::2], reply[1::2], strict=True):
        stream, _, source = name.decode("utf-8", "replace").partition(" ")
        found[stream, source] = int(float(score))
    return found


def _parse_readers(reply: Any) -> Readers:
    last_id, *rows = reply
    return Readers(
        last_id=last_id.decode(),
        groups=tuple(
            Reader(
                group=name.decode("utf-8", "replace"),
                last_delivered_id=delivered.decode(),
                pending=pending,
                idle=None if idle < 0 else idle,
            )
            for name, delivered, pending, idle in rows
        ),
    )


_REPORT = load_script("report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a consumer, and its time in milliseconds by the server's clock."""

    at: int
    words: bytes


def report(stream: str, group: str, consumer: str, words: bytes, *, keep_ms: int) -> Command:
    """Store a consumer's report, and delete reports that are older than `keep_ms`."""
    return _REPORT.call([keyspace.reports(stream, group)], [consumer, words, keep_ms])


def store_heartbeat(process: str, *, keep_ms: int) -> Command:
    """Store a process's heartbeat, which keeps the reports of its consumers valid, and delete heartbeats older than
    `keep_ms`.
    """
    return _REPORT.call([keyspace.PROCESSES], [process, "", keep_ms])


def read_heartbeats() -> Command:
    """Read the heartbeats of the processes: an empty `Report` by process."""
    return Command(("HGETALL", keyspace.PROCESSES), parse=_parse_reports)


def delete_report(stream: str, group: str, consumer: str) -> Command:
    """Delete the report of a consumer that has ended."""
    return Command(("HDEL", keyspace.reports(stream, group), consumer))


def read_reports(stream: str, group: str) -> Command:
    """Read the reports of a group's consumers: `Report` by consumer."""
    return Command(("HGETALL", keyspace.reports(stream, group)), parse=_parse_reports)


def read_time() -> Command:
    """Read the server's time in milliseconds since 1970."""
    return Command(("TIME",), parse=lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)


def _parse_reports(reply: Any) -> Mapping[str, Report]:
    found = {}
    for name, row in zip(reply[::2], reply[1::2], strict=True):
        at, _, words = row.partition(b" ")
        # A text that another program stored here is not a report.
        if at.isdigit():
            found[name.decode("utf-8", "replace")] = Report(at=int(at), words=words)
    return found
