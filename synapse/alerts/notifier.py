"""Notifies people of alerts.

For each rule, people get at most one notification a minute: the first change at once, those of the following minute
together at its end. Changes are read from the history, and Redis stores for each rule the last change that people were
notified of. So each notification is sent once, whichever process sends it, and none is lost when a process dies.
"""

from collections.abc import Mapping
from typing import Any

from synapse.alerts.event import entry_of, notification_event, read_record
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import Command, Conversation, ReplyError, ask
from synapse.redis.commands import alerts as commands
from synapse.wire.ids import EntryId, parse

# Seconds from one notification of a rule to the next.
INTERVAL = 60
_PAGE = 1_000


class Notifier:
    """Reads the history of changes, and notifies people of those that were not silenced."""

    def __init__(self) -> None:
        self._read_to = "0-0"
        # By rule and alert: the latest change that people were not notified of, and its id.
        self._waiting: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {}

    def step(self, stream: StreamDefinition | None, now: float) -> Conversation[int]:
        """Send the notifications that are due. Return their number.

        Args:
            stream: the stream of alerts, None when it is not defined: then the notifications that are due are never
                sent.
            now: the time, in seconds since 1970.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        yield from self._read_history()
        if not self._waiting:
            return 0
        (notified,) = yield from ask([commands.last_notifications()])
        if isinstance(notified, ReplyError):
            raise notified
        due = {
            rule: command
            for rule in self._waiting
            if (command := self._notification_command(rule, notified, stream, now))
        }
        # A rule without waiting changes is dropped: another process sent its notification.
        self._waiting = {rule: waiting for rule, waiting in self._waiting.items() if waiting}
        replies = (yield from ask(list(due.values()))) if due else []
        for rule, reply in zip(due, replies, strict=True):
            if not isinstance(reply, ReplyError):
                del self._waiting[rule]
        return sum(reply is True for reply in replies)

    def _read_history(self) -> Conversation[None]:
        while True:
            (changes,) = yield from ask([commands.changes_after(self._read_to, count=_PAGE)])
            if isinstance(changes, ReplyError):
                raise changes
            for change in changes:
                self._read_to = change.id
                alert = read_record(change.record)
                if alert is not None and not alert["silenced"]:
                    self._waiting.setdefault(alert["rule"], {})[alert["alert"]] = change.id, alert
            if len(changes) < _PAGE:
                return

    def _notification_command(
        self, rule: str, notified: Mapping[str, bytes], stream: StreamDefinition | None, now: float
    ) -> Command | None:
        """Return the command that sends the notification of a rule, None when none is due."""
        before = notified.get(rule, b"")
        at, last = _parse_notified(before)
        waiting = {name: each for name, each in self._waiting[rule].items() if parse(each[0]) > last}
        self._waiting[rule] = waiting
        if not waiting or 0 <= now - at < INTERVAL:
            return None
        id_ = max((id_ for id_, _ in waiting.values()), key=parse)
        event = notification_event(rule, id_, [alert for _, alert in waiting.values()])
        after = f"{now:.3f} {id_}".encode()
        if stream is None:
            return commands.notify(rule, before, after, (), hard_length=0)
        return commands.notify(rule, before, after, entry_of(event, stream), hard_length=stream.hard_length)


def _parse_notified(text: bytes) -> tuple[float, EntryId]:
    at, _, id_ = text.partition(b" ")
    try:
        return float(at), parse(id_.decode())
    except ValueError:
        return float("-inf"), EntryId(0, 0)
