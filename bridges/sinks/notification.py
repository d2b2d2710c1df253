"""A sink that notifies people of events, mostly of alerts, by chat, pager or mail
(`synapse.delivery.notifications`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from django.conf import settings
from django.db import DatabaseError

from bridges import secrets as bridges_secrets
from core.database import close_stale_connections
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.notifications import process
from synapse.delivery.notifications.messages import Message, is_for_people, messages_of
from synapse.delivery.notifications.process import Answer, NotificationProcess
from synapse.delivery.notifications.receiver import PAGERS, BadReceiver, kind_of_receiver
from synapse.delivery.sink import Delivery, MayBegin, OneByOne, Outcome, Setting, SinkConfig, TryOutResult
from synapse.delivery.webhooks import messages as webhook_messages
from synapse.errors.delivery import NotBegun, SecretElsewhere, SecretLost, SinkAway, SinkBroken, SinkError
from synapse.formats.text import is_name


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationConfig(SinkConfig):
    """`target`: the name of the secret that holds the receiver's URL. The URL itself is never a setting."""

    target: Annotated[
        str,
        Setting("The secret that holds the receiver's URL, such as slack://...", names="secret", is_given=True),
    ]

    def find_errors(self) -> Iterator[tuple[str, str]]:
        if not is_name(self.target):
            # The value is not repeated, because this text may end up in a log.
            yield "target", "must be the name of a secret; save the receiver's URL as one, and name that"
            return
        try:
            kind_of_receiver(bridges_secrets.values_of(self.target)[0])
        except SecretElsewhere:
            return  # the running installation, which has the secret, checks it
        except SecretLost as lost:
            yield "target", lost.detail
        except BadReceiver as bad:
            yield "target", f"the secret of this name {bad}"


class NotificationSink(OneByOne):
    """Counts an event as delivered when the receiver accepts it. The child process that sends ends after each batch, so
    that the URL does not stay in memory.
    """

    label = "Notification"
    about = "Tells people of alerts, or that there is an event, in a chat, by a pager or by mail."
    can_try_out = True
    at_once = 1
    Config = NotificationConfig

    def __init__(self, config: NotificationConfig, bridge: BridgeDefinition) -> None:
        self._secret = config.target
        self._bridge = bridge
        self._process: NotificationProcess | None = None

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        if not process.is_installed():
            raise SinkBroken(
                "The package apprise, which sends notifications, is not installed: pip install -r requirements.txt."
            )
        sink = cls(config, bridge)
        try:
            sink._read_url()
        except SinkAway as away:
            raise SinkBroken(f"{away}.") from away
        return sink

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            while len(outcomes) < len(batch) and may_begin():
                delivery = batch[len(outcomes)]
                if is_for_people(delivery, is_selected=bool(self._bridge.event_types)):
                    self._open_process()
                    outcomes.append(self._try_take(delivery))
                else:
                    outcomes.append(None)
        except SinkAway:
            if not outcomes:
                raise
        finally:
            self.close()
        return outcomes + [NotBegun() for _ in batch[len(outcomes) :]]

    def take(self, delivery: Delivery) -> None:
        sender = self._open_process()
        deadline = time.monotonic() + self._bridge.handler_timeout_seconds
        for message in self._build_messages(delivery, sender):
            answer = sender.send(message, within=deadline - time.monotonic())
            if not answer.is_taken:
                raise _error_of(answer)

    def try_out(self, delivery: Delivery) -> TryOutResult:
        try:
            sender = self._open_process()
            message = self._build_messages(delivery, sender)[0]
            answer = sender.send(
                replace(message, title=f"Test: {message.title}"), within=self._bridge.handler_timeout_seconds
            )
        finally:
            self.close()
        return TryOutResult(
            is_taken=answer.is_taken,
            ms=answer.ms,
            status=answer.status,
            said="" if answer.is_taken else str(_error_of(answer)),
            text=answer.text,
        )

    def close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _build_messages(self, delivery: Delivery, sender: NotificationProcess) -> list[Message]:
        return messages_of(delivery, one_each=kind_of_receiver(sender.url) in PAGERS)

    def _open_process(self) -> NotificationProcess:
        """Return the child process that sends, and start it if none runs.

        Raises:
            SinkAway: when it cannot be started for this receiver.
        """
        if self._process is not None and not self._process.is_running:
            self.close()
        if self._process is None:
            self._process = NotificationProcess(
                self._read_url(), allowed=settings.WEBHOOK_ALLOW, seconds=self._bridge.handler_timeout_seconds
            )
        return self._process

    def _read_url(self) -> str:
        close_stale_connections()
        try:
            return bridges_secrets.values_of(self._secret)[0]
        except SecretLost as problem:
            raise SinkAway(problem.detail.rstrip(".")) from problem
        except DatabaseError as error:
            raise SinkAway(f"The database with the secrets cannot be used: {error}") from error


def _error_of(answer: Answer) -> SinkError:
    if answer.status is None or answer.why:
        return SinkError(answer.why or "The receiver did not take it", failure=answer.failure)
    heard = webhook_messages.Answer(
        status=answer.status, text=answer.text, ms=answer.ms, retry_after=answer.retry_after
    )
    return webhook_messages.error_of(heard, permanent=(), now=time.time())
