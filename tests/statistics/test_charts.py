"""What the charts of a page are drawn from."""

from streams import connections
from synapse.redis import keyspace
from synapse.statistics import charts
from synapse.statistics.charts import OF_GROUP, OF_STREAM, RANGES, read_charts, window_of


def drawn(scene, name, *, definitions=OF_STREAM, group=None):
    """Return all data of the charts over a time range up to the scene's present, and the charts by their names."""
    now = int(scene.now)
    data = connections.executor().run(
        read_charts("orders", definitions, window_of(name, now=now), group=group, now=now)
    )
    return data, {chart["name"]: chart for chart in data["charts"]}


def values_of(chart):
    return {line["name"]: [value for value in line["values"] if value is not None] for line in chart["lines"]}


def test_counters_are_rates_over_what_was_sampled_and_gaps_are_gaps(scene):
    scene.sample()
    scene.publish(10)
    scene.sample()
    scene.now += 60
    scene.publish(30)
    scene.sample(2)

    data, found = drawn(scene, "15m")

    (line,) = found["published"]["lines"]
    # The sample after a gap is part of it: nobody can tell when the counter grew.
    assert line["values"][-2:] == [None, 0]
    assert line["values"][-16:-14] == [None, 2]
    assert set(line["values"][-14:-1]) == {None}
    assert (data["until"], data["step"]) == (scene.now, 5)


def test_a_point_of_several_samples_has_the_mean_of_rates_and_the_highest_length(scene):
    scene.sample()
    for count in (15, 0, 30):
        scene.publish(count)
        scene.sample()

    _, found = drawn(scene, "1h")

    assert values_of(found["published"]) == {"stored": [1.5, 6]}
    assert values_of(found["length"]) == {"events": [15, 45]}
    assert found["length"]["lines"][0]["now"] == 45


def test_refusals_have_a_line_for_each_reason_and_an_unused_series_has_none(scene):
    scene.sample()
    scene.count("refused:stream-full", 5)
    scene.count("refused:<b>bold</b>", 10)
    scene.sample()

    _, found = drawn(scene, "15m")

    assert values_of(found["refused"]) == {"stream-full": [1], "<b>bold</b>": [2]}
    assert [line["series"] for line in found["published"]["lines"]] == ["published"]
    assert found["publish_seconds"]["lines"] == []


def test_the_charts_of_a_group_have_its_places_and_what_kinds_of_failures_there_were(scene):
    for group in ("shop", "other"):
        scene.redis.xgroup_create("orders", group, "$", mkstream=True)
    # The first round finds the groups.
    scene.sample(2)
    scene.publish(4)
    scene.redis.xreadgroup("shop", "one", {"orders": ">"}, count=1)
    counters = keyspace.counters("orders", "shop")
    scene.redis.hincrby(counters, "retried", 10)
    scene.redis.hincrby(counters, "failed:http-5xx", 10)
    scene.redis.hincrby(keyspace.counters("orders", "other"), "failed:timeout", 99)
    scene.sample()

    _, found = drawn(scene, "15m", definitions=OF_GROUP, group="shop")

    assert values_of(found["failures"]) == {"http-5xx": [2]}
    assert {name: row[-1] for name, row in values_of(found["backlog"]).items()} == {"not read": 3, "in flight": 1}
    assert values_of(found["throughput"])["failed"][-1] == 2


def test_of_many_groups_those_that_were_furthest_behind_have_a_line(scene, monkeypatch):
    monkeypatch.setattr(charts, "MOST_LINES", 2)
    for group in ("a", "b", "c"):
        scene.redis.xgroup_create("orders", group, "0", mkstream=True)
    scene.redis.xadd("orders", {"n": 1}, id="1-1")
    scene.redis.xgroup_setid("orders", "a", "$")
    scene.sample(2)

    _, found = drawn(scene, "15m")

    assert [line["group"] for line in found["lag"]["lines"]] == ["b", "c"]
    assert found["lag"]["further"] == 1


def test_every_range_is_kept_and_has_some_hundred_points(scene):
    scene.sample(3)

    for name, (seconds, step) in RANGES.items():
        window = window_of(name, now=int(scene.now))
        assert 150 <= seconds / step <= 400
        assert window.span.first * window.span.resolution.seconds <= scene.now - seconds
        drawn(scene, name)


def test_a_stream_that_was_deleted_or_never_sampled_has_charts_without_lines(scene):
    scene.sample()
    scene.streams.clear()
    scene.redis.flushdb()

    data, found = drawn(scene, "30d")

    assert data["stream"] == "orders"
    assert all(chart["lines"] == [] for chart in found.values())
