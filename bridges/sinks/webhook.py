"""A sink that posts each event to a URL, signed as in Standard Webhooks (`synapse.delivery.webhooks`)."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self, cast

import uvloop
from django.conf import settings
from django.db import DatabaseError

from bridges import secrets as bridges_secrets
from core.database import close_stale_connections
from streams.snapshot import holder as catalog
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.cloudevents.attributes import HEADER_PREFIX
from synapse.delivery.sink import Delivery, MayBegin, Outcome, Setting, Sink, SinkConfig, TryOutResult
from synapse.delivery.webhooks import signature, target
from synapse.delivery.webhooks.messages import ALWAYS, Form, Messages, is_own_header, is_success
from synapse.delivery.webhooks.resolver import Lookup, system_lookup
from synapse.delivery.webhooks.sender import Sender
from synapse.errors.delivery import NotBegun, SecretElsewhere, SecretLost, SinkAway, SinkBroken, SinkDisabled, SinkError

MOST_AT_ONCE = 256
_FORMS = {
    "envelope": "type, timestamp and data, as Standard Webhooks has it",
    "event": "the event alone",
    "cloudevents": "a CloudEvent as one JSON object (structured mode)",
    "cloudevents-binary": "the event's data; the other attributes of the CloudEvent are headers (binary mode)",
}
# Names of headers, and values without obsolete text (RFC 9110, 5.1 and 5.5).
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]{0,1998}[!-~])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig(SinkConfig):
    """`secret`: the name of the secret that signs. `body`: `envelope` (type, timestamp and data), only the `event`, or
    a CloudEvent in structured mode (`cloudevents`) or binary mode (`cloudevents-binary`).

    `headers` are sent unchanged; `secret_headers` have the values of the named secrets. `concurrency`: the number of
    requests in flight, None for the concurrency of the bridge. `permanent_statuses`: the statuses after which an event
    is not sent again.
    """

    url: Annotated[str, Setting("The address that takes a POST for each event.")]
    secret: Annotated[str, Setting("The secret that signs, so that the receiver can tell.", names="secret")]
    body: Annotated[str, Setting("The body of the request.", choices=_FORMS)] = "envelope"
    headers: Annotated[dict[str, str], Setting("Headers that are sent unchanged.", is_advanced=True)] = field(
        default_factory=dict
    )
    secret_headers: Annotated[
        dict[str, str],
        Setting("Headers, and the names of the secrets that are sent in them.", names="secret", is_advanced=True),
    ] = field(default_factory=dict)
    concurrency: Annotated[
        int | None, Setting("How many requests are in flight at once; empty: as the bridge.", is_advanced=True)
    ] = None
    permanent_statuses: Annotated[
        list[int], Setting("Answers after which an event is not sent again, such as 400, 422.", is_advanced=True)
    ] = field(default_factory=list)

    def find_errors(self) -> Iterator[tuple[str, str]]:
        try:
            target.read_target(self.url, settings.WEBHOOK_ALLOW)
        except target.BadTarget as bad:
            yield "url", str(bad)
        if self.secret.startswith(signature.PREFIX):
            # The value is not repeated, because this text may end up in a log.
            yield "secret", "must be the name of a secret, and is a secret itself"
        elif complaint := self._secret_complaint():
            yield "secret", complaint
        if self.body not in _FORMS:
            yield "body", f"must be {' or '.join(_FORMS)}"
        if self.concurrency is not None and not 1 <= self.concurrency <= MOST_AT_ONCE:
            yield "concurrency", f"must be from 1 to {MOST_AT_ONCE}"
        if any(not 300 <= status <= 599 or status == 410 for status in self.permanent_statuses):
            yield "permanent_statuses", "must hold answers from 300 to 599 but 410, which disables the bridge"
        yield from self._find_header_errors()

    def _secret_complaint(self) -> str:
        try:
            for value in bridges_secrets.values_of(self.secret):
                signature.key_of(value)
        except SecretElsewhere:
            return ""  # the running installation, which has the secret, checks it
        except SecretLost as lost:
            return lost.detail
        except ValueError as what:
            return f"the secret of this name does not sign: {what} would"
        return ""

    def _find_header_errors(self) -> Iterator[tuple[str, str]]:
        names = [*self.headers, *self.secret_headers]
        for where, mapping in (("headers", self.headers), ("secret_headers", self.secret_headers)):
            for name in mapping:
                if not _HEADER_NAME.fullmatch(name) or is_own_header(name):
                    yield where, f"{name[:100]!r} is no header that can be set"
        if len({name.lower() for name in names}) < len(names):
            yield "headers", "a header is there twice"
        if self.body == "cloudevents-binary" and any(name.lower().startswith(HEADER_PREFIX) for name in names):
            yield "headers", f"must hold none that begins with {HEADER_PREFIX}: those are the CloudEvent's attributes"
        if "authorization" in (name.lower() for name in self.headers):
            yield "headers", "must not hold Authorization: it belongs to secret_headers"
        for name, value in self.headers.items():
            if not _HEADER_VALUE.fullmatch(value):
                yield "headers", f"the value of {name[:100]} must be 1 to 2000 characters of printable ASCII"
        for name, secret in self.secret_headers.items():
            try:
                if not _HEADER_VALUE.fullmatch(bridges_secrets.values_of(secret)[0]):
                    yield "secret_headers", f"the secret of {name[:100]} cannot stand in a header"
            except SecretElsewhere:
                continue
            except SecretLost as lost:
                yield "secret_headers", lost.detail


# The current secrets: those that sign, and headers with secret values.
_Secrets = tuple[list[str], dict[str, str]]


class WebhookSink(Sink):
    """Counts an event as delivered when the receiver answers 2xx. Up to `concurrency` requests are in flight."""

    label = "Webhook"
    about = "Posts each event to a URL, signed, and tries again when it fails."
    can_try_out = True
    Config = WebhookConfig

    def __init__(self, config: WebhookConfig, bridge: BridgeDefinition, *, lookup: Lookup = system_lookup) -> None:
        self._config = config
        self._bridge = bridge
        self._lookup = lookup
        self.at_once = config.concurrency
        self._concurrency = config.concurrency or bridge.concurrency
        self._loop = uvloop.new_event_loop()
        self._snapshot: object = None
        self._secrets: _Secrets | None = None
        self._messages: Messages
        self._sender: Sender | None = None

    @classmethod
    def open(cls, config: Any, bridge: BridgeDefinition, *, stopping: Callable[[], bool]) -> Self:
        sink = cls(config, bridge)
        try:
            sink._current_sender()
        except SinkAway as away:
            sink.close()
            raise SinkBroken(f"{away}.") from away
        return sink

    def deliver(self, batch: Sequence[Delivery], may_begin: MayBegin) -> list[Outcome]:
        if not may_begin():
            return [NotBegun() for _ in batch]
        sender = self._current_sender()
        return self._loop.run_until_complete(self._deliver_batch(batch, may_begin, sender))

    def try_out(self, delivery: Delivery) -> TryOutResult:
        sender = self._current_sender()
        headers, body = self._messages.request_for(delivery, time.time())
        begun = time.monotonic()
        try:
            answer = self._loop.run_until_complete(sender.send_and_read(headers, body))
        except SinkError as error:
            return TryOutResult(is_taken=False, ms=int((time.monotonic() - begun) * 1000), said=str(error))
        return TryOutResult(is_taken=is_success(answer.status), ms=answer.ms, status=answer.status, text=answer.text)

    def close(self) -> None:
        if self._loop.is_closed():
            return
        if self._sender is not None:
            self._loop.run_until_complete(self._sender.close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _deliver_batch(self, batch: Sequence[Delivery], may_begin: MayBegin, sender: Sender) -> list[Outcome]:
        # Lets the event loop notice connections that receivers closed since the last batch, before one is used again.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outcomes: list[Outcome] = [None] * len(batch)
        waiting = self._build_requests(batch)
        over = False

        async def send_requests() -> None:
            nonlocal over
            for place, request in waiting:
                if over or not may_begin():
                    outcomes[place] = NotBegun()
                    continue
                try:
                    with batch[place].time_span():
                        await sender.send(*request)
                except SinkError as error:
                    outcomes[place] = error
                    over = over or isinstance(error, SinkDisabled)
                except Exception as error:
                    outcomes[place] = SinkError(f"{type(error).__name__}: {error}", failure="exception")

        await asyncio.gather(*(send_requests() for _ in range(min(self._concurrency, len(batch)))))
        return outcomes

    def _build_requests(self, batch: Sequence[Delivery]) -> Iterator[tuple[int, tuple[dict[str, str], bytes]]]:
        """Yield each event's index and request. They are built in groups of as many as can be in flight: that is faster
        than one by one, and none is signed long before it is sent.
        """
        for start in range(0, len(batch), self._concurrency):
            now = time.time()
            part = [self._messages.request_for(delivery, now) for delivery in batch[start : start + self._concurrency]]
            yield from enumerate(part, start)

    def _current_sender(self) -> Sender:
        """Return the sender, opened with the current secrets. A changed secret changes the catalog, so the snapshot
        shows it.
        """
        snapshot = catalog.current()
        if self._sender is None or self._snapshot is not snapshot:
            secrets = self._read_secrets()
            if self._sender is None or secrets != self._secrets:
                self._sender = self._loop.run_until_complete(self._open_sender(secrets))
            self._snapshot = snapshot
        return self._sender

    def _read_secrets(self) -> _Secrets:
        close_stale_connections()
        try:
            headers = {name: bridges_secrets.values_of(of)[0] for name, of in self._config.secret_headers.items()}
            return bridges_secrets.values_of(self._config.secret), headers
        except SecretLost as problem:
            raise SinkAway(problem.detail.rstrip(".")) from problem
        except DatabaseError as error:
            raise SinkAway(f"The database with the secrets cannot be used: {error}") from error

    async def _open_sender(self, secrets: _Secrets) -> Sender:
        config, before, (signing, headers) = self._config, self._sender, secrets
        try:
            signers = [signature.signer_of(value) for value in signing]
        except ValueError as what:
            raise SinkAway(f"The secret “{config.secret}” does not sign: {what} would") from what
        self._messages = Messages(
            form=cast(Form, config.body), group=self._bridge.group, signers=signers, catalog=catalog.current
        )
        self._secrets = secrets
        if before is not None:
            await before.close()
        return Sender(
            target.read_target(config.url, settings.WEBHOOK_ALLOW),
            settings.WEBHOOK_ALLOW,
            headers={**ALWAYS, **config.headers, **headers},
            timeout=self._bridge.handler_timeout_seconds,
            concurrency=self._concurrency,
            permanent=config.permanent_statuses,
            lookup=self._lookup,
        )
