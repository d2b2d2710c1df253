"""The measures of the console's benchmark."""

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model

from benchmarks.console import first_page
from benchmarks.console.figure import Figure, of_times, processor_time
from benchmarks.console.made_up import History, keys_of
from benchmarks.events import EVENT, compact
from benchmarks.load import generator
from benchmarks.load.values import Request
from benchmarks.running import processor, synapse
from benchmarks.running.valkey import Valkey
from streams import connections
from streams.models import Stream
from synapse.publishing.counters import Lasted
from synapse.redis import keyspace
from synapse.statistics.block import STEPS
from synapse.statistics.sampler import Sampler
from synapse.statistics.series import PUBLISH_SECONDS, SERIES
from synapse.statistics.storage import RESOLUTIONS, Track

STREAMS, GROUPS = 100, 10
NAMES = [f"measured-events-{place:03}" for place in range(STREAMS)]
_GROUP_NAMES = [f"consumer-group-{place}" for place in range(GROUPS)]
_LARGE, _LARGE_GROUPS = "measured-large-stream", 500
# The limit of the overview's size as one frame, in bytes.
_LONGEST_LINE = 2**20
_HOUR, _SAMPLE, _ENTRIES, _VIEWERS, _ROUNDS = 3_600, 5, 200, 50, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The measured installation, which serves this benchmark alone."""

    folder: Path
    settings: Mapping[str, str]
    valkey: Valkey
    seconds: int

    def define(self) -> None:
        """Define the streams with some events and their groups, and a person with all permissions."""
        get_user_model().objects.create_superuser("measurer", password=None)
        Stream.objects.bulk_create([Stream(name=name) for name in NAMES])
        entry = [part for name, text in EVENT.items() for part in (name.encode(), str(text).encode())]
        for name in NAMES:
            self.valkey.fill(name, [entry] * _ENTRIES)
            for group in _GROUP_NAMES:
                self.valkey.client.xgroup_create(name, group, "$")

    def pages(self) -> Iterator[Figure]:
        """Render the overview repeatedly across a full hour, at which all blocks end."""
        hour = (int(time.time()) // _HOUR + 1) * _HOUR
        history = _recent_history(NAMES, hour - 100, groups=GROUPS)
        client = first_page.client()
        first_page.make(client, hour - 99)
        after: dict[str, list[float]] = {"at a full minute": [], "after a new sample": [], "with nothing new": []}
        for moment in range(hour - 95, hour + 95, _SAMPLE):
            history.write(moment)
            what = "after a new sample" if moment % 60 else "at a full minute"
            after[what].append(first_page.make(client, moment + 1))
            after["with nothing new"].append(first_page.make(client, moment + 1))
        for what, seconds in after.items():
            yield of_times(f"overview {what}", seconds)
        first = [self._first(history.at) for _ in range(3)]
        yield of_times("overview, the first of a process", [page for page, _ in first])
        yield of_times("overview, the second of a process", [page for _, page in first])

    def _first(self, moment: int) -> tuple[float, float]:
        words = [sys.executable, "-m", "benchmarks.console.first_page", str(moment)]
        environment = {**os.environ, **self.settings, "PYTHONPATH": str(synapse.ROOT)}
        found = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout
        first, second = json.loads(found)
        return first, second

    def many(self) -> Iterator[Figure]:
        """Render the pages of a stream with 10,000 series."""
        stream, _ = Stream.objects.get_or_create(name=_LARGE)
        hour = int(time.time()) // _HOUR * _HOUR
        _recent_history([_LARGE], hour, groups=_LARGE_GROUPS)
        client = first_page.client()
        series = len(keys_of(_LARGE_GROUPS))
        for address in (f"/admin/streams/stream/{stream.pk}/statistics/", f"/stats?stream={_LARGE}&from=-1h&step=5m"):
            seconds = [first_page.make(client, hour + 1, address) for _ in range(3)]
            yield Figure(
                name=f"{address}, {series:,} series",
                value=median(seconds) * 1000,
                unit="ms",
                highest=max(seconds) * 1000,
            )
        stream.delete()

    def sampler(self) -> Iterator[Figure]:
        """Take samples while three groups in ten advance: counters, durations and lags."""
        now = time.time() // _SAMPLE * _SAMPLE
        moments = iter(range(int(now), int(now) + 100 * _SAMPLE))
        sampler = Sampler(connections.executor, lambda: NAMES, clock=lambda: now)
        seconds = []
        for _ in range(26):
            self._go_on(random.Random(next(moments)))
            # Between two samples, the sampler checks each second whether one is due, and renews its lease.
            seconds.append(processor_time(sampler.step) + 4 * processor_time(sampler.step))
            now += _SAMPLE
        share = [each / _SAMPLE * 100 for each in seconds[2:]]
        yield Figure(name="sampler", value=sum(share) / len(share), unit="% of a core", most=2)
        yield Figure(name="sampler, the costliest round", value=max(seconds[2:]) * 1000, unit="ms")

    def _go_on(self, dice: random.Random) -> None:
        """Publish events to a third of the streams, and let three groups in ten read and acknowledge."""
        pipe = self.valkey.client.pipeline(transaction=False)
        for name in NAMES:
            if dice.random() < 0.3:
                pipe.xadd(name, EVENT)
                pipe.hincrby(keyspace.stats(name), "published", dice.randint(1, 100))
                self._take_time(dice, name, "publish")
            for group in _GROUP_NAMES:
                if dice.random() < 0.3:
                    pipe.xgroup_setid(name, group, "$")
                    for field in ("done", "retried"):
                        pipe.hincrby(keyspace.counters(name, group), field, dice.randint(1, 100))
                    for what in ("attempt", "delivered"):
                        self._take_time(dice, name, what, group)
        pipe.execute()
        connections.executor().run(connections.counters.flush())

    def _take_time(self, dice: random.Random, stream: str, what: Lasted, group: str = "") -> None:
        for _ in range(3):
            connections.counters.observe(stream, what, dice.expovariate(100), group=group, times=7)

    def size(self) -> Iterator[Figure]:
        """Write one stream's history of 30 days, of which three series in ten change at every step.

        Counts grow by up to 20 a second, durations are between 2 and 400 ms.
        """
        dice, stream = random.Random(5), "measured-events-of-thirty-days"
        keys = keys_of(GROUPS)
        changing = dice.sample(keys, len(keys) * 3 // 10)
        durations = {each.number for each in SERIES if each.is_rounded}
        between = PUBLISH_SECONDS.to_stored(0.002), PUBLISH_SECONDS.to_stored(0.4)
        values = {key: between[0] if key.number in durations else 100_000 for key in keys}
        for resolution in RESOLUTIONS:
            track, written = Track(stream, resolution), {}
            track.load_commands(0)
            track.load(0, None, None)
            for step in range(resolution.kept // resolution.seconds + STEPS):
                for key in changing:
                    grown = values[key] + dice.randint(1, 20 * resolution.seconds)
                    values[key] = dice.randint(*between) if key.number in durations else grown
                for command in track.record(step, values, changing):
                    written[command.words[1]] = command.words[2]
            for name, data in written.items():
                self.valkey.client.set(name, data, ex=86_400)
        found = self.valkey.client.scan_iter(keyspace.history(stream, 1, "*").replace(":1:", ":*:"))
        taken = sum(self.valkey.memory(key) for key in found) * STREAMS / 2**20
        yield Figure(name=f"history of {len(keys) * STREAMS:,} series", value=taken, unit="MB", most=64)

    def viewers(self) -> Iterator[Figure]:
        """Let 50 people watch the overview while the server's sampler takes samples."""
        sessions = [_session(place) for place in range(_VIEWERS)]
        with synapse.serving(self.folder, self.settings) as server, self._going_on():
            # The cookie's name depends on the installation, so that several can share a host.
            cookies = [f"sessionid_{server.port}={session}" for session in sessions]
            asyncio.run(_view(server.url, cookies[:1], 3 * _SAMPLE))
            used = {}
            for some in ([], cookies):
                before = processor.seconds(server.pid)
                samples = asyncio.run(_view(server.url, some, self.seconds))
                used[len(some)] = (processor.seconds(server.pid) - before) / self.seconds * 100
            yield Figure(name="server without viewers", value=used[0], unit="% of a core")
            yield Figure(name=f"{_VIEWERS} viewers", value=used[_VIEWERS] - used[0], unit="% of a core", most=5)
            yield Figure(name="samples that each viewer was shown", value=samples / _VIEWERS, unit="")

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Publish, read and acknowledge every five seconds during the block."""
        stop, dice = threading.Event(), random.Random(7)

        def work() -> None:
            while not stop.wait(_SAMPLE):
                self._go_on(dice)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def publish(self) -> Iterator[Figure]:
        """Publish as fast as possible with the sampler, and without it, while another holder has its lease."""
        load = generator(self.folder)
        cost: dict[bool, list[float]] = {True: [], False: []}
        with synapse.serving(self.folder, self.settings) as server:
            request = Request(url=f"{server.url}/events/{NAMES[0]}", method="POST", body=compact(EVENT))
            load.send(request, 32, 3)
            for place in range(2 * _ROUNDS):
                # Measured in pairs, whose order alternates.
                on = place % 4 in (0, 3)
                self.valkey.client.set(keyspace.SAMPLER_LEASE, "nobody", px=1 if on else 3_600_000)
                # Wait until the sampler has loaded its history, which it does once.
                load.send(request, 32, _SAMPLE + 2)
                before = processor.seconds(server.pid)
                result = load.send(request, 32, 2 * _SAMPLE)
                cost[on].append((processor.seconds(server.pid) - before) / result.requests)
            self.valkey.client.delete(keyspace.SAMPLER_LEASE)
        ratios = [off / on for on, off in zip(cost[True], cost[False], strict=True)]
        yield Figure(name="processor time of a publish beside the sampler", value=median(cost[True]) * 1e6, unit="us")
        yield Figure(name="publish rate with the sampler, of that without", value=median(ratios), unit="", least=0.98)


def _recent_history(streams: Sequence[str], until: int, *, groups: int) -> History:
    """Make up the history of the last two hours, with ten minutes of the finest steps, of which two minutes are
    drawn.
    """
    minute = until // 60 * 60
    history = History(streams, groups=groups, at=minute - 2 * _HOUR)
    history.write(minute - 660, every=60)
    history.write(until)
    return history


def _session(place: int) -> str:
    """Return the session of a new person with all permissions."""
    person = get_user_model().objects.create_superuser(f"viewer-{place}", password=None)
    session: str = first_page.client(person).cookies[django_settings.SESSION_COOKIE_NAME].value
    return session


async def _view(url: str, cookies: list[str], seconds: float) -> int:
    """Watch the overview with these sessions as the page does, which gets the changed parts with each sample. Return
    the number of updates.
    """
    shown = 0

    async def watch(cookie: str) -> None:
        nonlocal shown
        async with (
            aiohttp.ClientSession(headers={"cookie": cookie}) as session,
            session.get(f"{url}/stats/live?series=published&page=overview", read_bufsize=_LONGEST_LINE) as live,
        ):
            assert live.status == 200, await live.text()
            async for line in live.content:
                if line == b"event: overview\n":
                    shown += 1

    watching = [asyncio.create_task(watch(cookie)) for cookie in cookies]
    done, _ = await asyncio.wait(
        [*watching, asyncio.create_task(asyncio.sleep(seconds))], return_when="FIRST_COMPLETED"
    )
    for task in watching:
        task.cancel()
    for task in done:
        task.result()
    await asyncio.gather(*watching, return_exceptions=True)
    return shown
