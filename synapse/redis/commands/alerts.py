"""The commands of alerts: their states, the history of changes, and the notifications to people.

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
    """A change of an alert's state.

    Attributes:
        alert: the alert's name.
        before: the state that was read, empty for none.
        after: the new state.
        record: the row for the history, empty when the change does not concern people.
        entry: the names and values of an entry for the stream of alerts, alternating.
    """

    alert: str
    before: bytes
    after: bytes
    record: bytes = b""
    entry: Sequence[str] = ()


class RecordedChange(NamedTuple):
    """A change in the history: its id and its content."""

    id: str
    record: bytes


def change_states(changes: Sequence[StateChange], *, hard_length: int) -> Command:
    """Change states, each only if it still equals `before`. The reply is a list of Booleans: whether each was changed.

    Args:
        changes: the changes of states.
        hard_length: the limit on the length of the stream of alerts; 0 when the stream is not defined and gets no
            entries.
    """
    arguments: list[Argument] = [MOST_CHANGES, hard_length]
    for alert, before, after, record, entry in changes:
        arguments += (alert, before, after, record, len(entry), *entry)
    keys = [_STATES, _CHANGES, *_stream_keys(hard_length)]
    return _CHANGE.call(keys, arguments, parse=lambda reply: [bool(each) for each in reply])


def notify(rule: str, before: bytes, after: bytes, entry: Sequence[str], *, hard_length: int) -> Command:
    """Append a notification of a rule, if its last notification is still `before`. The reply is whether it was
    appended.
    """
    keys = [_TOLD, *_stream_keys(hard_length)]
    return _NOTIFY.call(keys, [rule, before, after, hard_length, *entry], parse=bool)


def _stream_keys(hard_length: int) -> tuple[str, str]:
    """Return the keys of the stream of alerts and of its counters. An undefined stream is not named, because the Redis
    user may have no right to it.
    """
    return (ALERTS_STREAM, keyspace.stats(ALERTS_STREAM)) if hard_length else (_STATES, _STATES)


def states() -> Command:
    """Read the states of all alerts that are not ok: texts by name."""
    return hgetall(_STATES)


def last_notifications() -> Command:
    """Read the last notification of each rule."""
    return hgetall(_TOLD)


def changes_after(id_: str, *, count: int) -> Command:
    """Read the changes after an id, oldest first, as `RecordedChange`s."""
    return Command(("XRANGE", _CHANGES, f"({id_}", "+", "COUNT", count), parse=_parse_changes)


def changes_before(id_: str, *, count: int) -> Command:
    """Read the changes before an id ("+" for the end), newest first, as `RecordedChange`s."""
    return Command(("XREVRANGE", _CHANGES, id_ if id_ == "+" else f"({id_}", "-", "COUNT", count), parse=_parse_changes)


def last_evaluation() -> Command:
    """Read the time when alerts were last evaluated, in seconds since 1970; None before the first time."""
    return Command(("GET", _EVALUATED), parse=_parse_seconds)


def note_evaluated(now: float) -> Command:
    """Record the time when alerts were evaluated, in seconds since 1970."""
    return Command(("SET", _EVALUATED, f"{now:.3f}"))


def oldest_in_flight(stream: str, group: str) -> Command:
    """Read the id of the oldest event in flight, None when there is none."""
    return Command(("XPENDING", stream, group), parse=lambda reply: reply[1].decode() if reply[1] else None)


def _parse_changes(reply: Any) -> list[RecordedChange]:
    return [RecordedChange(id_.decode(), fields[1]) for id_, fields in reply if len(fields) > 1]


def _parse_seconds(reply: bytes | None) -> float | None:
    try:
        return None if reply is None else float(reply)
    except ValueError:
        return None
