"""The sampler: every five seconds one process records the values of all series.

The process holds a lease in Redis that ends unless it is renewed, so that another process continues when it dies. A
round is one pipeline that reads, and one that writes the changes. A round that fails is not written and leaves a gap.

Blocks are written as a whole. So repeating a write whose reply was lost does no harm, and two processes that both
believe for a moment that they are the sampler each write a correct block.
"""

import time
from collections.abc import Callable, Iterable, Mapping

from synapse.redis import Command, SyncExecutor, keyspace, value
from synapse.redis.commands.statistics import keep_latest_sample
from synapse.redis.lease import Lease
from synapse.statistics import latest
from synapse.statistics.collection import Collector, Values
from synapse.statistics.series import ROUNDS
from synapse.statistics.storage import FINEST, INSTALLATION, RESOLUTIONS, Track
from synapse.statistics.totals import Totals

# A killed sampler is replaced when its lease ends, after three turns without a renewal.
LEASE_MS = 3_000
# The interval of measuring memory, in seconds.
_MEMORY_EVERY = 60
# The number of streams whose blocks are read or written in one pipeline. Redis serves no other client meanwhile.
_TOGETHER = 100


class Sampler:
    """Samples the streams as long as it holds the lease.

    Args:
        executor: returns the connection to Redis.
        streams: returns the names of the streams of the catalog.
        clock: the time in seconds since 1970.
    """

    def __init__(
        self,
        executor: Callable[[], SyncExecutor],
        streams: Callable[[], Iterable[str]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._executor = executor
        self._streams = streams
        self._clock = clock
        self._lease = Lease(keyspace.SAMPLER_LEASE, ttl_ms=LEASE_MS)
        self._tick = -1
        self._measured_at = self._sampled_at = float("-inf")
        self._collector = Collector()
        self._tracks: dict[str, list[Track]] = {}
        self._totals = Totals()

    def step(self) -> bool:
        """Take a sample if one is due. Return whether this process holds the lease.

        Raises:
            RedisUnavailable: when Redis cannot be used.
            ReplyError: when Redis refuses the lease.
        """
        written = self._tracks[INSTALLATION][0].is_there() if self._tracks else []
        held, *there = self._executor().execute([self._lease.hold(), *written])
        if not value(held):
            self._forget()
            return False
        now = int(self._clock())
        tick = now // FINEST.seconds
        if tick < self._tick or not all(map(value, there)):
            # The clock was set back, or Redis lost written blocks: then unchanged values have to be written, too.
            self._forget()
        if tick > self._tick:
            self._tick = tick
            try:
                self._sample(now - now % FINEST.seconds)
            except BaseException:
                # A part of it may have been written, or all.
                self._tracks, self._totals = {}, Totals()
                raise
        return True

    def _forget(self) -> None:
        """Forget all state, because another process may have written since."""
        self._tick = -1
        self._measured_at = self._sampled_at = float("-inf")
        self._collector = Collector()
        self._tracks, self._totals = {}, Totals()

    def _sample(self, now: int) -> None:
        names = sorted(self._streams())
        memory = not 0 <= now - self._measured_at < _MEMORY_EVERY
        found = self._executor().run(self._collector.collect(names, now_ms=int(self._clock() * 1000), memory=memory))
        self._measured_at = now if memory else self._measured_at
        self._update_streams([INSTALLATION, *names], now)
        finest = self._tracks[INSTALLATION][0]
        if finest.is_written(now):
            # Another process wrote it before.
            self._tracks, self._totals = {}, Totals()
            return
        samples: Mapping[str, Values] = {**found.values, INSTALLATION: {ROUNDS: finest.values.get(ROUNDS, 0) + 1}}
        asked: list[Command] = []
        for name, (first, *others) in self._tracks.items():
            values = samples.get(name, {})
            asked += first.record(now // FINEST.seconds, values, found.touched.get(name))
            for track in others:
                asked += track.follow(now, values, first.changed)
        changes = {name: first.changed for name, (first, *_) in self._tracks.items() if first.changed}
        asked += self._totals.record(now, found.values, changes)
        follows = self._sampled_at == now - FINEST.seconds
        asked.append(keep_latest_sample(latest.pack(now, changes, follows=follows)))
        for start in range(0, len(asked), _TOGETHER):
            for reply in self._executor().execute(asked[start : start + _TOGETHER]):
                value(reply)
        self._sampled_at = now

    def _update_streams(self, names: Iterable[str], now: int) -> None:
        """Drop streams that are no longer in the catalog, and load the stored history of new ones."""
        self._tracks = {
            name: self._tracks.get(name) or [Track(name, resolution) for resolution in RESOLUTIONS] for name in names
        }
        tracks = [*self._totals.tracks, *(track for tracks in self._tracks.values() for track in tracks)]
        new = [track for track in tracks if not track.is_loaded]
        for start in range(0, len(new), _TOGETHER):
            some = new[start : start + _TOGETHER]
            replies = self._executor().execute([command for track in some for command in track.load_commands(now)])
            for track, block, base in zip(some, replies[::2], replies[1::2], strict=True):
                track.load(now, block, base)
