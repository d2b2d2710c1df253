"""Errors of streams.

Problem
├── UnknownStream, UnknownEntry, UnknownService, UnknownKey, NoEvents, NothingToTest
├── NotAStream, BadFilterExpression, BadEventType, EventTooLarge, ContractViolated
├── BadEvent: BadCloudEvent
├── UnknownContractVersion, UnknownEventType, IdempotencyKeyReused, BatchRefused
├── TooManyRequests, KeyNotLive, TooManyKeys, EventLoopOnly, WebSocketRequired
├── ServerBusy: TooManyWatchers, Stopping
└── Unavailable: BrokerDown, BrokerRefused, Busy, OutcomeUnknown, NotDurable, StreamFull
"""

from collections.abc import Mapping, Sequence
from typing import Any

from synapse.formats.durations import Rate
from synapse.problems import Problem

# The number of errors that the sentence of a refusal quotes; `violations` lists all of them.
_MOST_NAMED = 5


class BadFilterExpression(Problem, status=400, slug="bad-filter", title="The filter cannot be used"):
    """A filter cannot be parsed, or is not accepted. `position` is the character, counted from 1."""

    def __init__(self, what: str, *, at: int) -> None:
        super().__init__(
            f"The filter cannot be used. At character {at + 1}: {what} A filter that works: "
            'event.status == "failed" && event.attempts > 3.',
            position=at + 1,
        )


class UnknownStream(Problem, status=404, slug="unknown-stream", title="No stream has this name"):
    """No stream has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no stream “{name[:100]}”. GET /streams lists those that are defined.")


class UnknownEntry(Problem, status=404, slug="unknown-entry", title="The stream holds no entry with this id"):
    """The stream holds no entry with this id."""


class NoEvents(Problem, status=404, slug="no-events", title="The stream holds no events of this type"):
    """The stream has no events of this type to derive a schema from."""

    def __init__(self, stream: str, event_type: str, scanned: int) -> None:
        looked = f"none of its newest {scanned} entries is one" if scanned else "the stream is empty"
        super().__init__(f"The stream “{stream}” holds no “{event_type[:100]}” events: {looked}.")


class NothingToTest(Problem, status=404, slug="nothing-to-test", title="There is no draft to test"):
    """No schema was given, and the contract has no draft to test instead."""


class NotAStream(Problem, status=409, slug="not-a-stream", title="Redis holds something else under the stream's name"):
    """The stream's key in Redis holds another type of value, of another program."""


class BadEvent(Problem, status=400, slug="bad-event", title="This cannot be read as an event"):
    """The body cannot be read as an event."""


class BadCloudEvent(BadEvent, slug="bad-cloudevent", title="This cannot be read as a CloudEvent"):
    """The CloudEvent breaks the specification, or its data is not an event. `violations` lists each fault: the JSON
    Pointer of the member (or of the attribute, if the event was sent in headers), and a sentence.
    """

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        violations = [{"pointer": pointer, "message": message} for pointer, message in faults]
        super().__init__(
            f"This is no CloudEvent that can be published. {' '.join(message for _, message in faults[:_MOST_NAMED])}",
            violations=violations,
        )


class EventTooLarge(Problem, status=413, slug="too-large", title="The event is larger than the limit"):
    """The event, or the batch, exceeds the size limit."""

    quotes_event = False


class BadEventType(Problem, status=422, slug="bad-event-type", title="The event names no valid event type"):
    """The event names no event type, or its event type is not a valid name."""


class ContractViolated(Problem, status=422, slug="contract-violated", title="The event breaks its contract"):
    """The event breaks its contract. `violations` lists each place (see synapse.schema.violations)."""

    def __init__(self, detail: str, violations: Sequence[Mapping[str, str]], **members: Any) -> None:
        super().__init__(detail, **members, violations=list(violations))


class UnknownContractVersion(
    Problem, status=422, slug="unknown-contract-version", title="The event's contract has no such version"
):
    """The event names a version that its contract never had, or that was deleted."""

    quotes_event = False


class UnknownEventType(
    Problem, status=422, slug="unknown-event-type", title="The stream does not take events of this type"
):
    """The stream does not accept events of undefined types."""


class IdempotencyKeyReused(
    Problem, status=422, slug="idempotency-key-reused", title="The Idempotency-Key was used for another request"
):
    """Another request was sent with this Idempotency-Key before. Nothing was stored."""

    quotes_event = False


class BatchRefused(Problem, status=422, slug="batch-refused", title="No event of the batch was stored"):
    """No event of a batch was stored. `results` has the reason for each event."""


class TooManyRequests(Problem, status=429, slug="too-many-requests", title="The caller exceeds its rate limit"):
    """The caller exceeds its rate limit. The request was not processed."""

    def __init__(self, kind: str, rate: Rate, *, after: int, headers: Mapping[str, str]) -> None:
        super().__init__(
            f"This {kind} may send {rate.count} requests in {rate.seconds} s. Ask again in {after} s.",
            headers={"Retry-After": str(after), **headers},
        )


class UnknownService(Problem, status=404, slug="unknown-service", title="No service has this name"):
    """No service has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no service “{name[:100]}”.")


class UnknownKey(Problem, status=404, slug="unknown-key", title="The service has no key with this id"):
    """The service has no key with this id."""

    def __init__(self, service: str, key_id: str) -> None:
        super().__init__(f"The service “{service[:100]}” has no key “{key_id[:20]}”.")


class KeyNotLive(Problem, status=409, slug="key-not-live", title="The key is revoked or has expired"):
    """The key was revoked, or has expired."""

    def __init__(self, key_id: str, state: str) -> None:
        super().__init__(f"The key {key_id} is {state}. Issue a new one.")


class TooManyKeys(Problem, status=409, slug="too-many-keys", title="The service has the maximum number of live keys"):
    """The service has the maximum number of live keys that one caller may issue: one in use, and one to replace it."""

    def __init__(self, service: str, most: int, issuer: str = "") -> None:
        issued = f" that “{issuer}” issued" if issuer else ""
        super().__init__(f"The service “{service}” has {most} live keys{issued}, which is the limit. Revoke one first.")


class EventLoopOnly(Problem, status=501, slug="lane-only", title="This server does not answer this route"):
    """Only the event loop answers this route, and this server has none (Django's `runserver`, a WSGI server)."""


class WebSocketRequired(
    Problem, status=426, slug="websocket-required", title="Only WebSocket requests are accepted here"
):
    """The request is not a WebSocket handshake of a supported version (RFC 9110, 15.5.22; RFC 6455, 4.4)."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            detail, headers={"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        )


class ServerBusy(Problem, status=503, slug="not-now", title="The server cannot accept the request now"):
    """This process cannot accept the request now. Another process may, and this one may later."""

    retry_after = 5


class TooManyWatchers(ServerBusy, slug="too-many-watchers", title="Too many watch streams live already"):
    """This process has the maximum number of watchers."""

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} connections of this process watch streams live already, which is the limit.")


class Stopping(ServerBusy, slug="stopping", title="The server is about to stop"):
    """The process is about to end."""

    retry_after = 1


class Unavailable(Problem, status=503, slug="unavailable", title="Redis cannot be used now"):
    """Redis cannot be used now. The same request can succeed later."""

    quotes_event = False


class BrokerDown(Unavailable, slug="redis-down", title="Redis cannot be reached"):
    """Redis cannot be reached: nothing was stored."""


class BrokerRefused(Unavailable, slug="redis-refused", title="Redis refused the command"):
    """Redis answered with an error: nothing was stored."""


class Busy(Unavailable, slug="busy", title="Too many requests are waiting for Redis"):
    """Too many commands are waiting for Redis already: nothing was stored."""


class OutcomeUnknown(Unavailable, slug="outcome-unknown", title="It is not known whether the event was stored"):
    """The connection was lost, or the answer took too long, after sending: the event may or may not be stored."""


class NotDurable(
    Unavailable, slug="not-durable", title="The event may not be stored on as many servers as its stream requires"
):
    """Redis stored the event under `id`, but only `got` of the `wanted` copies were confirmed in time: it may be lost
    with the server.
    """

    def __init__(self, why: str, *, id: str, wanted: int, got: int, keyed: bool) -> None:
        again = (
            "Send it again with the same Idempotency-Key."
            if keyed
            else "It had no Idempotency-Key: sending it again may store it a second time."
        )
        super().__init__(f"The event may be stored, but {why}. {again}", id=id, wanted=wanted, got=got)


class StreamFull(Unavailable, slug="stream-full", title="The stream is full"):
    """The stream takes no more events until some are dropped."""

    retry_after = 5
