"""The consumer groups of a stream: who reads, what they still have to settle, and how far behind they are."""

import time
from collections.abc import Sequence
from typing import Any

from core.http import Request, Response, json_response
from streams import lag
from streams.asking import answer, ask
from streams.broker import commands
from streams.broker.command import Conversation
from streams.broker.commands import Consumer, Group
from streams.definitions import Snapshot
from streams.inspection.overview import defined
from streams.lag import Lag


def groups(request: Request, catalog: Snapshot) -> Conversation[Response]:
    """Answer `GET /streams/{stream}/groups`."""
    stream = defined(request, catalog)
    (reply,) = yield from ask([commands.xinfo_groups(stream.name)])
    found: list[Group] = answer(reply, stream.name, absent=[])
    asked = [commands.xinfo_consumers(stream.name, group.name) for group in found]
    members = (yield from ask(asked)) if asked else []
    behind = yield from lag.of({(stream.name, group.name): group.last_delivered_id for group in found})
    now_ms = time.time() * 1000
    return json_response(
        {
            "stream": stream.name,
            "groups": [
                _shown(group, answer(reply, stream.name, absent=[]), behind[stream.name, group.name], now_ms)
                for group, reply in zip(found, members, strict=True)
            ],
        }
    )


def _shown(group: Group, members: Sequence[Consumer], behind: Lag, now_ms: float) -> dict[str, Any]:
    return {
        "name": group.name,
        "consumers": group.consumers,
        "pending": group.pending,
        "last_delivered_id": group.last_delivered_id,
        "lag": behind.events,
        "lag_exact": behind.exact,
        "lag_seconds": behind.seconds(now_ms),
        "members": [
            {"name": member.name, "pending": member.pending, "idle_seconds": member.idle / 1000} for member in members
        ],
    }
