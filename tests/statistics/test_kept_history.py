"""What is kept of the history that was read last gives exactly what decoding it afresh gives."""

import random

import pytest

from streams import connections
from synapse.redis import keyspace
from synapse.statistics import overview, series
from synapse.statistics.history import KeptHistory, read_history
from synapse.statistics.overview import read_histories
from synapse.statistics.rows import Span
from synapse.statistics.series import SERIES, Key, select
from synapse.statistics.storage import RESOLUTIONS

SELECTIONS = (
    select(*SERIES),
    select(series.FAILED, series.REFUSED, group=""),
    select(series.LAG_SECONDS, group="shop"),
)
STREAMS = ["orders", "returns"]


class Reader:
    """Reads the last steps with what is kept, and afresh."""

    def __init__(self, scene):
        self._scene = scene
        self._kept = {(each.seconds, place): KeptHistory(10**6) for each in RESOLUTIONS for place in range(3)}

    def compare(self):
        now = int(self._scene.now)
        for resolution in RESOLUTIONS[:2]:
            last = now // resolution.seconds - 1
            span = Span(resolution=resolution, first=last - 23, last=last)
            for place, selection in enumerate(SELECTIONS):
                kept = self._kept[resolution.seconds, place]
                found, afresh = (
                    connections.executor().run(
                        read_history(STREAMS, span, selection, now=now, kept=each, instead=span.earlier)
                    )
                    for each in (kept, None)
                )
                assert found == afresh


@pytest.fixture
def reader(make_scene):
    scene = make_scene(streams=list(STREAMS))
    return scene, Reader(scene)


def live(scene, dice):
    """Let something happen to some of the streams."""
    for stream in STREAMS:
        if dice.random() < 0.6:
            scene.publish(dice.choice((1, 90)), stream)
        if dice.random() < 0.3:
            scene.count(f"refused:{dice.choice('ab')}", 3, stream)
        group = dice.choice(("shop", "billing"))
        scene.redis.hincrby(keyspace.counters(stream, group), "retried", dice.randint(0, 2))


@pytest.mark.product("seed")
@pytest.mark.parametrize("seed", [1, 2])
def test_kept_blocks_give_what_decoding_afresh_gives(reader, seed):
    """Over the ends of blocks, gaps, groups that come and go, a clock that was set back, a Redis that lost all, and a
    stream that was deleted and made again."""
    scene, read = reader
    dice = random.Random(seed)

    def go_on(rounds, seconds=5):
        for _ in range(rounds):
            live(scene, dice)
            scene.sample(seconds=seconds)
            scene.now += dice.choice((0, 0, 0, 1))
            if dice.random() < 0.4:
                read.compare()
        read.compare()

    for group in ("shop", "billing"):
        scene.redis.xgroup_create("orders", group, "$", mkstream=True)
    go_on(70)
    go_on(65, seconds=60)
    scene.redis.xgroup_destroy("orders", "billing")
    scene.now += 95
    go_on(12)
    scene.now -= 400
    go_on(12)
    scene.redis.flushall()
    read.compare()
    go_on(6)
    scene.streams.remove("returns")
    go_on(4)
    scene.redis.delete("returns", keyspace.stats("returns"))
    scene.streams.append("returns")
    go_on(15)
    scene.redis.set(keyspace.history("orders", 5, int(scene.now) // 300), b"\x01somebody else's")
    read.compare()


def test_no_more_is_kept_than_is_allowed_and_the_latest_streams_are(reader):
    scene, _ = reader
    scene.publish()
    scene.sample(3)
    kept, least = KeptHistory(10**6), KeptHistory(0)
    last = int(scene.now) // 5 - 1
    span = Span(resolution=RESOLUTIONS[0], first=last - 9, last=last)

    def read(stream, into):
        asked = read_history([stream], span, SELECTIONS[0], now=int(scene.now), kept=into)
        return connections.executor().run(asked).streams[stream]

    assert read("orders", kept) is read("orders", kept)
    assert read("orders", least) == read("orders", kept)
    assert read("orders", least) is not read("orders", least)
    size = kept.get("orders").size
    few = KeptHistory(size + size // 2)
    first = read("orders", few)
    read("returns", few)
    assert read("orders", few) is not first


def test_the_last_minute_is_asked_for_once_it_is_written(scene):
    scene.sample(36)
    scene.publish(7)
    # A full minute, of which no sample was taken yet.
    read = [connections.executor().run(read_histories(["orders"], now=int(scene.now) + second)) for second in (1, 15)]
    scene.publish(7)
    scene.sample()
    read.append(connections.executor().run(read_histories(["orders"], now=int(scene.now) - 3)))

    published = [each["orders"].hour[Key(series.PUBLISHED.number)] for each in read]
    assert [row[-1] for row in published] == [0, None, 0]
    assert [each["orders"].hour_begins - int(scene.now) // 60 * 60 for each in read] == [-3660, -3600, -3600]
    assert {len(row) for row in published} == {overview.HOUR // 60}
