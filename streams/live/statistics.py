"""Live statistics as server-sent events (`GET /stats/live`): one connection serves all streams of a caller."""

import asyncio
from collections.abc import AsyncGenerator, Collection

from django.conf import settings

from streams import connections
from streams.connections import tails
from streams.live.overview import OverviewViewer
from streams.live.session_revalidation import ViewerPermission, guard
from streams.snapshot import holder
from synapse.auth.permission import is_visible
from synapse.auth.principal import Principal
from synapse.http.exchange import StreamedResponse
from synapse.live import sse
from synapse.redis import RedisUnavailable, ask
from synapse.redis.commands import statistics as commands
from synapse.shares import caller_of
from synapse.statistics import latest
from synapse.statistics.latest import Sample
from synapse.statistics.storage import FINEST

# The interval at which each process asks Redis for the latest sample while it has viewers, in seconds.
LOOK_EVERY = 0.5


async def answer_live_statistics(
    streams: Collection[str], names: Collection[str], by: Principal, *, overview: OverviewViewer | None = None
) -> StreamedResponse:
    """Answer `GET /stats/live` with each sample, soon after it was taken.

    Args:
        streams: only these streams, as far as the caller may see them; empty for all.
        names: only these series; empty for all.
        by: the caller.
        overview: the viewer who also gets the admin's overview, None for none.

    Raises:
        RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: as their names say.
    """
    session = Session(streams, names, by, heartbeat=settings.LIVE_HEARTBEAT, overview=overview)
    return await sse.stream_response(session.chunks())


class LatestSample:
    """The latest sample, read once for all viewers of this process."""

    def __init__(self) -> None:
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[Sample | None] | None = None
        # The sample that was encoded last, and its frames by their streams and series.
        self._framed: Sample | None = None
        self._frames: dict[tuple[tuple[str, ...], frozenset[str]], bytes] = {}

    async def get(self) -> Sample | None:
        """Return the latest sample, None when there is none.

        Raises:
            RedisUnavailable: when Redis cannot be used.
        """
        now = asyncio.get_running_loop().time()
        # A little less than the interval, so that viewers who ask once in each interval get a new sample.
        if self._asking is None or now - self._asked_at > LOOK_EVERY * 0.9:
            self._asked_at, self._asking = now, asyncio.create_task(_read_latest(), name="latest sample")
        return await asyncio.shield(self._asking)

    def frame_of(self, sample: Sample, streams: Collection[str], names: frozenset[str]) -> bytes:
        """Return a sample as a frame with these streams and series, encoded once for all viewers."""
        if sample is not self._framed:
            self._framed, self._frames = sample, {}
        key = (tuple(streams), names)
        if (found := self._frames.get(key)) is None:
            found = self._frames[key] = latest.frame(sample, streams, names=names, step=FINEST.seconds)
        return found


async def _read_latest() -> Sample | None:
    (reply,) = await connections.async_executor().run(ask([commands.latest_sample()]))
    return latest.unpack(reply) if isinstance(reply, bytes) else None


class StatisticsPermission(ViewerPermission):
    """The permission of one caller to watch statistics."""

    def _may_watch(self) -> bool:
        return self.rights.has("metrics:read")


class Session:
    """Writes the samples of one viewer."""

    def __init__(
        self,
        streams: Collection[str],
        names: Collection[str],
        principal: Principal,
        *,
        heartbeat: float,
        overview: OverviewViewer | None = None,
    ) -> None:
        # Sets, because each sample looks up every stream and series in them, and a query may repeat names.
        self._asked, self._names = frozenset(streams), frozenset(names)
        self._heartbeat = heartbeat
        self._overview = overview
        self._caller = caller_of(principal)
        self._permission = StatisticsPermission(principal if overview is None else overview.person)
        self._is_shut_out = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield a frame for each sample until the server ends the session. The generator is closed when the viewer
        disconnects.

        Raises:
            RedisUnavailable, ShareUsedUp, TooManyWatchers, Stopping: before the first frame; later none.
        """
        clock = asyncio.get_running_loop().time
        with tails().hold_seat(self._caller), guard.calling(self._check_permission, self._permission):
            sent = sample.at if (sample := await SAMPLES.get()) else 0
            yield sse.opening_frame(b"%d" % sent)
            written = clock()
            while not (self._is_shut_out or tails().stopping):
                await asyncio.sleep(min(LOOK_EVERY, self._heartbeat))
                try:
                    sample = await SAMPLES.get()
                except RedisUnavailable:
                    sample = None
                if sample is not None and sample.at != sent:
                    sent, written = sample.at, clock()
                    # The overview is sent before the sample, because pages request a missing overview when the sample
                    # arrives.
                    pushed = await self._overview.next_frame(self._permission, sample.at) if self._overview else b""
                    if self._is_shut_out:
                        break
                    yield pushed + SAMPLES.frame_of(sample, self._visible_streams(sample.streams), self._names)
                elif clock() - written >= self._heartbeat:
                    written = clock()
                    yield sse.heartbeat_frame()
            yield sse.bye_frame(
                "the server stops" if tails().stopping else "show again who you are: your key or your rights changed"
            )

    def _check_permission(self) -> None:
        self._is_shut_out = not self._permission.is_good

    def _visible_streams(self, streams: Collection[str]) -> list[str]:
        """Return the requested streams among `streams` that the caller may see now."""
        known, rights, asked = holder.current().streams, self._permission.rights, self._asked
        return [name for name in streams if (not asked or name in asked) and name in known and is_visible(rights, name)]


SAMPLES = LatestSample()
