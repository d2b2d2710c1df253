"""The page of a stream's statistics: charts, and the publishers and types of its newest events."""

from collections import Counter
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core import payload_access
from streams.admin import charts
from streams.admin.events.messages import ask_for_strip, show_tab, strip_values
from streams.connections import ask_all
from streams.models import Stream
from streams.snapshot import holder
from synapse.problems import Problem
from synapse.redis import Conversation, ReplyError, ask
from synapse.redis.commands import streams as stream_commands
from synapse.statistics.charts import OF_STREAM
from synapse.wire import fast_decoder
from synapse.wire.masking import mask_of

# The number of newest events whose publishers and types are counted, and the number of each that are shown.
_NEWEST, _SHOWN = 100, 8


def show_statistics(admin: Any, request: HttpRequest, pk: int) -> HttpResponse:
    """Show the charts of a stream; with `figures` in the query, only the numbers above them."""
    stream = admin.get_row_or_404(request, pk)
    if "figures" in request.GET:
        # The page fetches only these numbers when it refreshes itself.
        values = strip_values(stream, ask_all(ask_for_strip(stream)))
        return render(request, "streams/admin/strip.html", {"original": stream, **values})
    asked = charts.chart_query_of(request, stream.name, OF_STREAM)
    conversations = {**ask_for_strip(stream), "charts": asked.conversation}
    if payload_access.may_see(request):
        conversations["newest"] = _count_newest(stream)
    found = ask_all(conversations)
    newest = found.get("newest")
    return show_tab(
        admin,
        request,
        stream,
        "Statistics",
        found,
        charts=charts.build_context(
            request,
            asked,
            found["charts"],
            targets=charts.targets_of_stream(stream),
            limits=[("trimmed to", stream.max_length or 0), ("full at", stream.hard_length)],
        ),
        newest=None if isinstance(newest, Problem) else newest,
    )


def _count_newest(stream: Stream) -> Conversation[dict[str, Any]]:
    """Count the newest events by their publisher and by their type, the most frequent first.

    Publishers that are PII are masked for everybody, because more people may see statistics than events.
    """
    newest = stream_commands.xrevrange(stream.name, stream_commands.LAST, stream_commands.FIRST, _NEWEST)
    (reply,) = yield from ask([newest])
    entries = [] if isinstance(reply, ReplyError) else reply
    definition = holder.current().streams.get(stream.name)
    types_of = definition.types_of if definition else {}
    decoded = [fast_decoder.decode_parts(entry.parts, types_of=types_of) for entry in entries]
    masks = [mask_of(definition, one) for one in decoded]
    sources = [
        mask.source(one.source, one.event) if mask else one.source for one, mask in zip(decoded, masks, strict=True)
    ]
    return {
        "count": len(entries),
        "publishers": Counter(source or "" for source in sources).most_common(_SHOWN),
        "event_types": Counter(one.event_type for one in decoded).most_common(_SHOWN),
    }
