"""Endpoints of the pull protocol. On the event loop, a long poll is woken by new events; in a thread it polls Redis
repeatedly.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bridges.pull import groups, poll
from bridges.pull.groups import REQUIRES, demand_group, may_use_any_group, stream_of
from bridges.pull.poll import PollResult
from bridges.snapshot import holder as bridges
from core import payload_access
from streams import connections
from streams.access.identification import current_rights
from streams.api.publish import Published
from streams.connections import tails
from streams.snapshot import holder
from synapse.auth.permission import Requirement
from synapse.auth.principal import Principal
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.cloudevents.attributes import BATCH
from synapse.endpoints import Answer, Call, EventLoop, Example, Meaning, about, endpoint
from synapse.endpoints.openapi import CLOUDEVENTS
from synapse.errors.delivery import GroupNotPulled
from synapse.errors.streams import Stopping
from synapse.http.exchange import Caller, Request, Response
from synapse.pull import acknowledgement, protocol
from synapse.pull.cache import memory
from synapse.pull.protocol import AnswerForm, GroupRef, PullAck, PullExtend, PullNack, PullPublish, PullRead
from synapse.redis import Conversation, Job, RedisUnavailable
from synapse.wire.encoding import TopLevelTypes
from synapse.wire.masking import may_hold_pii

# The seconds after which a waiting read polls again, because other processes may give events back.
LOOK_EVERY = 1.0
# The same in a thread, where nothing wakes the read.
LOOK_EVERY_IN_A_THREAD = 0.1
# The shortest wait, in seconds, also for an event that is due now.
_SHORTEST = 0.005
_REFUSED = [404, 409]
_GROUP = {"stream": "inference-events", "consumer_group": "dashboard"}
_IDS = {**_GROUP, "entry_ids": ["1705314600000-0"]}
_EVENT = {
    "stream": "inference-events",
    "event_type": "inference-complete",
    "sender": "cyrex",
    "payload": {"request_id": "req_123", "model_name": "m", "latency_ms": 45, "confidence": 0.9},
}
_AS_CLOUDEVENTS = "CloudEvents, with `synapseentryid`, one of the `entry_ids` of `POST /v1/ack`, and `synapseattempt`."
_NOT_HELD = "Events that were not in flight, or were in flight to another consumer."


class PulledEvent(Answer):
    """An event in flight."""

    stream: str
    entry_id: str
    fields: dict[str, Any] = about("The entry's fields as text; `payload` is an object where it can be one.")
    event: dict[str, Any] = about("The event, with its types.")
    attempt: int = about("The number of this attempt, from 1.")


class Pulled(Answer):
    """Events in flight, oldest first. The list is empty when no event came in time."""

    events: list[PulledEvent]


class Acked(Answer):
    """How many events the request acknowledged."""

    acked: int


class Nacked(Answer):
    """Result of giving events back."""

    nacked: int = about("How many events were given back, including those that became dead letters.")
    dead: list[str] = about("Events that are dead letters now.")
    lost: list[str] = about("Events that were trimmed from the stream meanwhile.")
    not_held: list[str] = about(_NOT_HELD)


class Extended(Answer):
    """The events that stay in flight."""

    extended: int
    lease_ms: int = about("The length of the new lease, from now on.")
    not_held: list[str] = about(_NOT_HELD)


_pull = partial(endpoint, tag="pull")


@_pull(
    "POST",
    "/v1/publish",
    "Publish an event as JSON of the sidecar's protocol",
    Published,
    body=PullPublish,
    problems=[409, 422],
    requires=Requirement(publish=True, is_checked_later=True),
    stores=lambda call: call.body.stream,
    on_event_loop=True,
    examples=[Example("an event", _EVENT)],
)
def pull_publish(call: Call[None, PullPublish]) -> Conversation[Response]:
    """Publishes one event as `POST /events/{stream}` does, contracts included, for the sidecar's clients."""
    return (yield from protocol.publish(call.body, call.request, call.catalog, connections.counters))


async def _answer_read(request: Request) -> Response:
    """Answer as soon as there are events, or after `block_ms` milliseconds without any."""
    asked = pull_read.check_request(request, holder.current()).body
    form = protocol.answer_form(request, holder.current())
    group = await connections.async_executor().run(_open_group(asked, request.principal))
    found = await _Poll(group, asked, request.caller or Caller(), request.principal, form).run()
    return form.respond(found.shown)


@_pull(
    "POST",
    "/v1/read",
    "Read events of a group",
    {200: Pulled, (200, BATCH): Meaning(CLOUDEVENTS, _AS_CLOUDEVENTS)},
    body=PullRead,
    problems=[*_REFUSED, 406],
    requires=REQUIRES,
    on_event_loop=EventLoop(handler=_answer_read, waits=True),
    examples=[Example("a long poll", {**_GROUP, "consumer_name": "dashboard-1", "count": 10, "block_ms": 1000})],
)
def pull_read(call: Call[None, PullRead]) -> Conversation[Response]:
    """Answers as soon as there are events, or after `block_ms` without any. The first read creates the group at the
    beginning of the stream. An event that is not acknowledged before the group's lease ends is delivered again.
    """
    asked, by = call.body, call.by
    form = protocol.answer_form(call.request, call.catalog)
    group = yield from _open_group(asked, by)
    until = time.monotonic() + asked.block_ms / 1000
    while True:
        demand_group(group, replace(by, rights=current_rights(by)))
        found = yield from poll.take_events(group, asked, memory(), _types_of(asked.stream), form)
        left = until - time.monotonic()
        if found.held or left <= 0:
            ids = [one.id for one in found.held]
            payload_access.record(by, f"stream {asked.stream}", ids, pulled_as=asked.group)
            return form.respond(found.shown)
        if not found.more:
            yield _job_of(time.sleep, min(left, LOOK_EVERY_IN_A_THREAD))


@_pull(
    "POST",
    "/v1/ack",
    "Acknowledge events",
    Acked,
    body=PullAck,
    problems=_REFUSED,
    requires=REQUIRES,
    on_event_loop=True,
    examples=[Example("one event", _IDS)],
)
def pull_ack(call: Call[None, PullAck]) -> Conversation[Mapping[str, Any]]:
    """Acknowledged events are not delivered again. Events that were acknowledged before are not counted."""
    asked = call.body
    if not (yield from _may_acknowledge(asked, call.by)):
        return acknowledgement.NOTHING_ACKED
    group = bridges.bridge_at(asked.stream, asked.group)
    answer = yield from acknowledgement.ack(asked, logs=group is not None and group.delivery_log == "all")
    # The next event of the same key may have become deliverable.
    memory().ring(asked)
    return answer


@_pull(
    "POST",
    "/v1/nack",
    "Give events back that could not be handled",
    Nacked,
    body=PullNack,
    problems=_REFUSED,
    requires=REQUIRES,
    on_event_loop=True,
    examples=[Example("again in a minute", {**_IDS, "delay_ms": 60_000, "reason": "the printer is out of paper"})],
)
def pull_nack(call: Call[None, PullNack]) -> Conversation[dict[str, Any]]:
    """Each event is delivered again after `delay_ms` or the delay of the group's settings, or becomes a dead letter."""
    asked = call.body
    group = yield from _find_group(asked, call.by)
    # A reader's reason may quote PII of the event.
    logs_reason = not may_hold_pii(holder.current().display_definition(asked.stream))
    answer = yield from acknowledgement.nack(group, asked, random.random(), logs_reason=logs_reason)
    memory().ring(asked)
    return answer


@_pull(
    "POST",
    "/v1/extend",
    "Keep events in flight for longer",
    Extended,
    body=PullExtend,
    problems=_REFUSED,
    requires=REQUIRES,
    on_event_loop=True,
    examples=[Example("ten minutes", {**_IDS, "lease_ms": 600_000})],
)
def pull_extend(call: Call[None, PullExtend]) -> Conversation[dict[str, Any]]:
    """For work that takes longer than the group's lease. Until the new lease ends, no other consumer gets the
    events.
    """
    group = yield from _find_group(call.body, call.by)
    return (yield from acknowledgement.extend(group, call.body))


def _open_group(asked: PullRead, by: Principal) -> Conversation[BridgeDefinition]:
    """Return the group that a caller reads as, and create it if it does not exist."""
    yield from _check_access(asked, by)
    group = groups.find_cached_bridge(asked)
    if group is None:
        (group,) = yield _job_of(groups.open_group, asked, by)
    demand_group(group, by)
    return groups.record_read(group)


def _find_group(ref: GroupRef, by: Principal) -> Conversation[BridgeDefinition]:
    """Return the group in which a caller acknowledges or returns events."""
    yield from _check_access(ref, by)
    group = groups.find_cached_bridge(ref)
    if group is None:
        (group,) = yield _job_of(groups.find_group, ref)
    demand_group(group, by)
    return group


def _may_acknowledge(ref: GroupRef, by: Principal) -> Conversation[bool]:
    """Say whether the group exists. For a caller that may use every group, this is not checked."""
    yield from _check_access(ref, by)
    if groups.find_cached_bridge(ref) is None and may_use_any_group(ref, by):
        return True
    try:
        yield from _find_group(ref, by)
    except GroupNotPulled:
        return False
    return True


def _check_access(ref: GroupRef, by: Principal) -> Conversation[None]:
    """Check the caller's rights on the stream, and load the bridges of the current catalog."""
    stream_of(ref, by)
    if not bridges.is_current:
        yield _job_of(groups.follow_catalog)


def _job_of(work: Callable[..., Any], *arguments: Any) -> Job:
    return Job(None, lambda: [partial(work, *arguments)()])


def _types_of(stream: str) -> Mapping[str, TopLevelTypes]:
    defined = holder.current().streams.get(stream)
    return defined.types_of if defined else {}


class _Poll:
    """A long poll on the event loop."""

    def __init__(
        self, group: BridgeDefinition, asked: PullRead, caller: Caller, by: Principal, form: AnswerForm
    ) -> None:
        self._form = form
        self._group = group
        self._asked = asked
        self._caller = caller
        self._by = by
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + asked.block_ms / 1000

    async def run(self) -> PollResult:
        """Return events; none when the time is over, the caller has disconnected, or the server stops."""
        found = await self._take_events()
        if not found.held and self._asked.block_ms:
            found = await self._wait_for_events()
        if found.held and self._caller.left:
            await self._give_back(found)
        return found

    async def _wait_for_events(self) -> PollResult:
        try:
            with (
                tails().bell(self._asked.stream) as bell,
                memory().ringing(self._asked, partial(self._loop.call_soon_threadsafe, bell.ring)),
                self._caller.on_disconnect(bell.ring),
            ):
                while True:
                    found = PollResult() if self._caller.left else await self._take_events()
                    left = self._until - self._loop.time()
                    if found.held or left <= 0 or self._caller.left or tails().stopping:
                        return found
                    if not found.more:
                        due = LOOK_EVERY if found.next_due_ms is None else found.next_due_ms / 1000
                        await bell.wait(min(left, max(due, _SHORTEST), LOOK_EVERY))
        except Stopping:
            return PollResult()

    async def _take_events(self) -> PollResult:
        # The group may have been changed, or the key revoked, during the wait.
        group = groups.find_cached_bridge(self._asked) or self._group
        demand_group(group, replace(self._by, rights=current_rights(self._by)))
        types_of = _types_of(self._asked.stream)
        taking = poll.take_events(group, self._asked, memory(), types_of, self._form)
        return await connections.async_executor().run(taking)

    async def _give_back(self, found: PollResult) -> None:
        try:
            await connections.async_executor().run(poll.give_back(self._group, self._asked, found))
        except RedisUnavailable:
            return
        memory().ring(self._asked)
