"""Notifications: people are told of a rule's alerts once a minute at most.

The first change of a rule is told at once, and what follows within the minute together at its end. Changes
are read from the history, and Redis keeps up to which one people were told, for each rule. So a notification is made
once, whichever process makes it, and none is lost with a process.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from synapse.alerts.event import entry_of, notification
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.redis import Command, Conversation, ReplyError, ask
from synapse.redis.commands import alerts as commands
from synapse.wire.ids import EntryId, parse

# Seconds from one notification of a rule to the next.
INTERVAL = 60
_PAGE = 1_000


class Notifier:
    """Reads the history of changes, and keeps those that are to be told."""

    def __init__(self) -> None:
        self._read_to = "0-0"
        # By rule and alert the last change that nobody was told of, and its id.
        self._waiting: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {}

    def step(self, stream: StreamDefinition | None, now: float) -> Conversation[int]:
        """Tell people what is to be told now. Return how many notifications that were.

        Args:
            stream: the stream of alerts, None when it is not defined: then nobody is told, also not later.
            now: the time, in seconds since 1970.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        yield from self._read()
        if not self._waiting:
            return 0
        (told,) = yield from ask([commands.told()])
        if isinstance(told, ReplyError):
            raise told
        asked = {rule: command for rule in self._waiting if (command := self._notify(rule, told, stream, now))}
        # Of a rule with nothing left to tell, all was told by another process.
        self._waiting = {rule: waiting for rule, waiting in self._waiting.items() if waiting}
        replies = (yield from ask(list(asked.values()))) if asked else []
        for rule, reply in zip(asked, replies, strict=True):
            if not isinstance(reply, ReplyError):
                del self._waiting[rule]
        return sum(reply is True for reply in replies)

    def _read(self) -> Conversation[None]:
        while True:
            (found,) = yield from ask([commands.changes_after(self._read_to, count=_PAGE)])
            if isinstance(found, ReplyError):
                raise found
            for change in found:
                self._read_to = change.id
                alert = read_record(change.record)
                if alert is not None and not alert["silenced"]:
                    self._waiting.setdefault(alert["rule"], {})[alert["alert"]] = change.id, alert
            if len(found) < _PAGE:
                return

    def _notify(
        self, rule: str, told: Mapping[str, bytes], stream: StreamDefinition | None, now: float
    ) -> Command | None:
        """Return the command that tells of a rule's changes, None when it is not time or there is nothing to tell."""
        before = told.get(rule, b"")
        at, last = _read_told(before)
        waiting = {name: each for name, each in self._waiting[rule].items() if parse(each[0]) > last}
        self._waiting[rule] = waiting
        if not waiting or 0 <= now - at < INTERVAL:
            return None
        id_ = max((id_ for id_, _ in waiting.values()), key=parse)
        event = notification(rule, id_, [alert for _, alert in waiting.values()])
        after = f"{now:.3f} {id_}".encode()
        if stream is None:
            return commands.notify(rule, before, after, (), hard_length=0)
        return commands.notify(rule, before, after, entry_of(event, stream), hard_length=stream.hard_length)


def read_record(record: bytes) -> dict[str, Any] | None:
    """Return an alert as the history has it, with `silenced`; None for a record that is none of ours."""
    try:
        alert = orjson.loads(record)
    except orjson.JSONDecodeError:
        return None
    return alert if isinstance(alert, dict) and {"alert", "rule", "state", "silenced"} <= alert.keys() else None


def _read_told(text: bytes) -> tuple[float, EntryId]:
    at, _, id_ = text.partition(b" ")
    try:
        return float(at), parse(id_.decode())
    except ValueError:
        return float("-inf"), EntryId(0, 0)
