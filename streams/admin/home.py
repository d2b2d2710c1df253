"""The streams' part of the first page: a card for each, up to a number, and what was counted on them."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from core import payload_access
from streams.connections import ask_all
from streams.models import Stream
from synapse.inspection import stream_stats
from synapse.inspection.stream_stats import Overview
from synapse.problems import Problem
from synapse.redis import Conversation, ReplyError, ask
from synapse.redis.commands import participants

# So many cards: the page asks again every few seconds. Where there are more streams, those that were published to last.
MOST = 24
_LATEST = 10 * MOST


def values(request: HttpRequest) -> Mapping[str, Any]:
    """Return what the template shows: a query or two, and as many pipelines."""
    if not request.user.has_perm("streams.view_stream"):
        return {"may_see": False}
    count = Stream.objects.count()
    streams = list(Stream.objects.filter(name__in=_latest()) if count > MOST else Stream.objects.all())
    if len(streams) < MOST < count:
        others = Stream.objects.exclude(pk__in=[stream.pk for stream in streams])
        streams = sorted([*streams, *others[: MOST - len(streams)]], key=lambda stream: stream.name)
    found = ask_all({"overview": stream_stats.overviews_of([stream.name for stream in streams])})["overview"]
    known: Mapping[str, Overview] = {} if isinstance(found, Problem) else found
    return {
        "may_see": True,
        "page": "admin:streams_stream_messages" if payload_access.may_see(request) else "admin:streams_stream_groups",
        "may_add": request.user.has_perm("streams.add_stream"),
        "problem": found if isinstance(found, Problem) else None,
        "cards": [(stream, known.get(stream.name)) for stream in streams],
        "count": count,
    }


def _latest() -> list[str]:
    """Return the names of up to `MOST` streams that were published to last, as far as that was noted."""
    found = ask_all({"latest": _latest_publishers()})["latest"]
    names = [] if isinstance(found, Problem) else [stream for stream, _ in found]
    return list(dict.fromkeys(names))[:MOST]


def _latest_publishers() -> Conversation[Mapping[participants.Publisher, int]]:
    (reply,) = yield from ask([participants.latest_publishers(_LATEST)])
    return {} if isinstance(reply, ReplyError) else reply
