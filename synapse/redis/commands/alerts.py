"""Commands of alerts: their states, the history of changes, and the notifications of people.

All keys are in the slot of the stream of alerts, so that one script can write to both.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from synapse.formats.text import ALERTS_STREAM
from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script
from synapse.redis.commands.streams import hgetall

_CHANGE, _NOTIFY = load_script("change_alerts"), load_script("notify_alerts")
_STATES, _CHANGES, _TOLD, _EVALUATED = (keyspace.alerts(what) for what in ("states", "changes", "told", "evaluated"))
# The number of changes that the history keeps.
MOST_CHANGES = 10_000


class StateChange(NamedTuple):
    """A state that is to be changed.

    Attributes:
        alert: the alert's name.
        before: the state as it was read, empty for none.
        after: the state as it is to be.
        record: the row of the history, empty when the change does not concern people.
        entry: names and values of an entry of the stream of alerts, in turn.
    """

    alert: str
    before: bytes
    after: bytes
    record: bytes = b""
    entry: Sequence[str] = ()


class RecordedChange(NamedTuple):
    """A change of the history: its id and its content."""

    id: str
    record: bytes


def change_states(changes: Sequence[StateChange], *, hard_length: int) -> Command:
    """Change states, each only if it still equals `before`; the reply has a Boolean for each: whether it was changed.

    Args:
        changes: the states, with what is recorded of them.
        hard_length: the limit on the length of the stream of alerts; 0 when it is not defined, and gets no entries.
    """
    arguments: list[Argument] = [MOST_CHANGES, hard_length]
    for alert, before, after, record, entry in changes:
        arguments += (alert, before, after, record, len(entry), *entry)
    keys = [_STATES, _CHANGES, *_stream_keys(hard_length)]
    return _CHANGE.call(keys, arguments, parse=lambda reply: [bool(each) for each in reply])


def notify(rule: str, before: bytes, after: bytes, entry: Sequence[str], *, hard_length: int) -> Command:
    """Append a notification of a rule, if its last notification is still `before`; the reply says whether it was
    appended."""
    keys = [_TOLD, *_stream_keys(hard_length)]
    return _NOTIFY.call(keys, [rule, before, after, hard_length, *entry], parse=bool)


def _stream_keys(hard_length: int) -> tuple[str, str]:
    """Return the keys of the stream and of its counters. The command does not name a stream that is not defined,
    because the Redis user may have no right to it."""
    return (ALERTS_STREAM, keyspace.stats(ALERTS_STREAM)) if hard_length else (_STATES, _STATES)


def states() -> Command:
    """Read the states of all alerts that are not ok: texts by name."""
    return hgetall(_STATES)


def told() -> Command:
    """Read the last notification of each rule."""
    return hgetall(_TOLD)


def changes_after(id_: str, *, count: int) -> Command:
    """Read changes after the one with an id, oldest first: `RecordedChange`s."""
    return Command(("XRANGE", _CHANGES, f"({id_}", "+", "COUNT", count), parse=_changes)


def changes_before(id_: str, *, count: int) -> Command:
    """Read changes before the one with an id ("+": the latest), newest first: `RecordedChange`s."""
    return Command(("XREVRANGE", _CHANGES, id_ if id_ == "+" else f"({id_}", "-", "COUNT", count), parse=_changes)


def evaluated() -> Command:
    """Ask when alerts were last evaluated, in seconds since 1970; None when they never were."""
    return Command(("GET", _EVALUATED), parse=_seconds)


def note_evaluated(now: float) -> Command:
    """Note that alerts were evaluated."""
    return Command(("SET", _EVALUATED, f"{now:.3f}"))


def oldest_in_flight(stream: str, group: str) -> Command:
    """Ask for the id of the oldest event that is in flight; None without one."""
    return Command(("XPENDING", stream, group), parse=lambda reply: reply[1].decode() if reply[1] else None)


def _changes(reply: Any) -> list[RecordedChange]:
    return [RecordedChange(id_.decode(), fields[1]) for id_, fields in reply if len(fields) > 1]


def _seconds(reply: bytes | None) -> float | None:
    try:
        return None if reply is None else float(reply)
    except ValueError:
        return None
