"""What consumers say of themselves, as commands: noted beside the stream, and gone by itself when nobody repeats it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from synapse.redis import keyspace
from synapse.redis.commands.base import Command
from synapse.redis.script import load

_REPORT = load("report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The words of a consumer, and when it said them: milliseconds, by the server's clock."""

    at: int
    words: bytes


def report(stream: str, group: str, consumer: str, words: bytes, *, keep_ms: int) -> Command:
    """Note what a consumer says of itself. Those that said nothing for `keep_ms` are forgotten."""
    return _REPORT.call([keyspace.reports(stream, group)], [consumer, words, keep_ms])


def beat(process: str, *, keep_ms: int) -> Command:
    """Note that a process lives: what its consumers said of themselves holds. Those that said nothing for `keep_ms` are
    forgotten."""
    return _REPORT.call([keyspace.PROCESSES], [process, "", keep_ms])


def beats() -> Command:
    """Read when each process said that it lives: `Report` by process, without words."""
    return Command(("HGETALL", keyspace.PROCESSES), parse=_reports)


def withdraw(stream: str, group: str, consumer: str) -> Command:
    """Forget what a consumer said: it is no more."""
    return Command(("HDEL", keyspace.reports(stream, group), consumer))


def reports(stream: str, group: str) -> Command:
    """Read what the consumers of a group say: `Report` by consumer."""
    return Command(("HGETALL", keyspace.reports(stream, group)), parse=_reports)


def now() -> Command:
    """Ask for the server's time, in milliseconds."""
    return Command(("TIME",), parse=lambda reply: int(reply[0]) * 1000 + int(reply[1]) // 1000)


def _reports(reply: Any) -> Mapping[str, Report]:
    found = {}
    for name, row in zip(reply[::2], reply[1::2], strict=True):
        at, _, words = row.partition(b" ")
        # Somebody else's words in our key are nobody's report.
        if at.isdigit():
            found[name.decode("utf-8", "replace")] = Report(at=int(at), words=words)
    return found
