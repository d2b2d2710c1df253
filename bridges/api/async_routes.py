"""The express lane: what bridges answer on the event loop. A long poll waits here, and costs no thread meanwhile."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from bridges.pull import groups
from bridges.pull import poll as pull_poll
from bridges.pull.groups import demand_group, may_use_any_group, stream_of
from bridges.pull.poll import Found
from bridges.snapshot import holder as bridges
from streams import connections
from streams.access.identification import current_rights
from streams.live.process_tails import tails
from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.errors.delivery import NobodyPulls
from synapse.errors.streams import Stopping, Unavailable
from synapse.http.exchange import (
    Caller,
    Request,
    Response,
    Route,
    json_response,
)
from synapse.pull import acknowledgement, requests
from synapse.pull import requests as pull_publish
from synapse.pull.cache import memory
from synapse.pull.requests import Place, Read
from synapse.wire.entry import TopLevelTypes

# Another process may give events back, and only Redis knows: how often one who waits looks, in seconds.
LOOK_EVERY = 1.0
# What is due now is looked for in a moment, and not without one.
_SHORTEST = 0.005


async def publish(request: Request) -> Response:
    """Answer `POST /v1/publish`."""
    asked, catalog = requests.publication(request), holder.current()
    executor = connections.async_executor_for(catalog.streams.get(asked.stream))
    return await executor.run(pull_publish.publish(asked, request, catalog, connections.tally))


async def read(request: Request) -> Response:
    """Answer `POST /v1/read`: with events at once, or as soon as there are any, or with none after `block_ms`."""
    asked = requests.read(request)
    stream_of(asked, request.principal)
    await _follow()
    group = groups.known(asked)
    if group is None:
        group = await asyncio.to_thread(groups.opened, asked, request.principal)
    demand_group(group, request.principal)
    poll = _Poll(groups.readable(group), asked, request.caller or Caller(), request.principal)
    return (await poll.found()).response()


async def ack(request: Request) -> Response:
    """Answer `POST /v1/ack`."""
    asked = requests.ack(request)
    if not await _may_settle(asked, request.principal):
        return json_response(acknowledgement.NOTHING_ACKED)
    answer = await connections.async_executor().run(acknowledgement.ack(asked))
    # The next event of a key may be due now.
    memory().ring(asked)
    return json_response(answer)


async def nack(request: Request) -> Response:
    """Answer `POST /v1/nack`."""
    asked = requests.nack(request)
    group = await _group(asked, request.principal)
    answer = await connections.async_executor().run(acknowledgement.nack(group, asked, random.random()))
    memory().ring(asked)
    return json_response(answer)


async def extend(request: Request) -> Response:
    """Answer `POST /v1/extend`."""
    asked = requests.extend(request)
    group = await _group(asked, request.principal)
    return json_response(await connections.async_executor().run(acknowledgement.extend(group, asked)))


class _Poll:
    """One who waits for events."""

    def __init__(self, group: BridgeDefinition, asked: Read, caller: Caller, by: Principal) -> None:
        self._group = group
        self._asked = asked
        self._caller = caller
        self._by = by
        self._clock: Callable[[], float] = asyncio.get_running_loop().time
        self._until = self._clock() + asked.block_ms / 1000

    async def found(self) -> Found:
        """Return events; none when the time is over, the caller has gone, or the server is about to stop."""
        found = await self._look()
        if not found.held and self._asked.block_ms:
            found = await self._wait()
        if found.held and self._caller.left:
            await self._give_back(found)
        return found

    async def _wait(self) -> Found:
        try:
            with (
                tails().bell(self._asked.stream) as bell,
                memory().ringing(self._asked, bell.ring),
                self._caller.telling(bell.ring),
            ):
                while True:
                    found = Found() if self._caller.left else await self._look()
                    left = self._until - self._clock()
                    if found.held or left <= 0 or self._caller.left or tails().stopping:
                        return found
                    if not found.more:
                        due = LOOK_EVERY if found.next_due_ms is None else found.next_due_ms / 1000
                        await bell.wait(min(left, max(due, _SHORTEST), LOOK_EVERY))
        except Stopping:
            return Found()

    async def _look(self) -> Found:
        # Somebody may have changed the group, or revoked the key, while we waited.
        group = groups.known(self._asked) or self._group
        demand_group(group, replace(self._by, rights=current_rights(self._by)))
        types_of = _types_of(self._asked.stream)
        return await connections.async_executor().run(pull_poll.look(group, self._asked, memory(), types_of))

    async def _give_back(self, found: Found) -> None:
        try:
            await connections.async_executor().run(pull_poll.give_back(self._group, self._asked, found))
        except Unavailable:
            return
        memory().ring(self._asked)


def _types_of(stream: str) -> Mapping[str, TopLevelTypes]:
    defined = holder.current().streams.get(stream)
    return defined.types_of if defined else {}


async def _group(place: Place, by: Principal) -> BridgeDefinition:
    """Return the group in which a caller settles events."""
    stream_of(place, by)
    await _follow()
    group = groups.known(place)
    if group is None:
        group = await asyncio.to_thread(groups.find, place)
    demand_group(group, by)
    return group


async def _may_settle(place: Place, by: Principal) -> bool:
    """Say whether there is a group to settle events in, for a caller who may. Who may in all of them is not asked."""
    stream_of(place, by)
    await _follow()
    if groups.known(place) is None and may_use_any_group(place, by):
        return True
    try:
        await _group(place, by)
    except NobodyPulls:
        return False
    return True


async def _follow() -> None:
    """See to it that the bridges are those of the current catalog."""
    if not bridges.is_current:
        await asyncio.to_thread(groups.follow)


ROUTES = (
    Route(method="POST", path="/v1/publish", handler=publish),
    Route(method="POST", path="/v1/read", handler=read, waits=True),
    Route(method="POST", path="/v1/ack", handler=ack),
    Route(method="POST", path="/v1/nack", handler=nack),
    Route(method="POST", path="/v1/extend", handler=extend),
)
