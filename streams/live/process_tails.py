"""The live tails of this process, built from Django's settings on first use: one XREAD loop a stream, shared by its
viewers.

To be woken by new entries without reading them:

    with tails().bell("orders") as bell:
        while not (found := await look()) and await bell.wait(seconds):
            pass

To watch the entries: see `streams.live`.
"""

from functools import cache

from streams import connections
from streams.connections import shares_of
from streams.snapshot import holder
from synapse.live import Frame, Tails, sse
from synapse.redis.commands.streams import Entry


@cache
def tails() -> Tails:
    """Return the tails of this process's event loop."""
    return Tails(connections.server(), render, shares=shares_of("live-seats"))


def render(stream: str, entry: Entry) -> Frame:
    """Return an entry as a frame for viewers, read by the stream's contracts."""
    return sse.of_entry(entry, holder.current().shown(stream))
