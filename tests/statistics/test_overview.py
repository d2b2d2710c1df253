"""Streams that need attention, told from their last hour."""

from dataclasses import replace

import pytest

from streams import connections
from synapse.redis import keyspace
from synapse.statistics import series
from synapse.statistics.overview import (
    RECENT,
    Finding,
    StreamHistory,
    describe_course,
    describe_trend,
    find_attention,
    read_failures,
    read_histories,
)
from synapse.statistics.series import Key

MINUTES, SAMPLES = 60, 24
NOW = 1_800_000_000


def past_of(rows=(), *, hour=()):
    """Return a history: `rows` gives the newest samples of series, `hour` the newest minutes; the rest is quiet."""

    def padded(values, length):
        return [0] * (length - len(values)) + list(values)

    return StreamHistory(
        recent={Key(each.number, group, label): padded(values, SAMPLES) for each, group, label, values in rows},
        hour={Key(each.number, group, label): padded(values, MINUTES) for each, group, label, values in hour},
        recent_begins=NOW - SAMPLES * 5,
        hour_begins=NOW - MINUTES * 60,
    )


def attention(past, *, hard_length=100, rejects=False):
    return find_attention(
        {"orders": past}, hard_lengths={"orders": hard_length}, rejecting={"orders"} if rejects else ()
    )


def test_a_quiet_stream_needs_no_attention():
    past = past_of(
        [(series.PUBLISHED, "", "", [5, 5]), (series.DEAD, "shop", "", [0]), (series.FAILED, "shop", "", [0])]
    )

    assert attention(past) == []


def test_a_stream_without_samples_needs_no_attention():
    assert attention(past_of()) == []


@pytest.mark.parametrize(
    ("row", "kind", "amount"),
    [
        ((series.FAILED, "shop", "", [2, 1]), "failing", 3),
        ((series.DEAD, "shop", "", [4, 5]), "dead", 5),
        ((series.LOST, "shop", "", [7]), "lost", 7),
        ((series.REFUSED, "", "contract-violated", [1, 1]), "refusing", 2),
        ((series.LAG_SECONDS, "shop", "", [900]), "lagging", 90),
    ],
)
def test_each_trouble_is_a_finding_with_its_amount(row, kind, amount):
    (found,) = attention(past_of([row]))

    assert (found.kind, found.group, found.label, found.amount) == (kind, row[1], row[2], amount)


def test_a_full_stream_needs_attention_only_where_it_refuses_events():
    past = past_of([(series.LENGTH, "", "", [100])])

    assert [found.kind for found in attention(past, rejects=True)] == ["full"]
    assert attention(past, rejects=False) == []
    assert attention(past, rejects=True, hard_length=101) == []


def test_a_lag_of_a_minute_or_less_is_no_trouble():
    assert attention(past_of([(series.LAG_SECONDS, "shop", "", [600])])) == []


def test_dead_letters_that_were_redriven_are_no_finding_any_more():
    assert attention(past_of([(series.DEAD, "shop", "", [5, 5, 0])])) == []


def test_the_most_urgent_comes_first():
    past = past_of(
        [
            (series.REFUSED, "", "contract-violated", [99]),
            (series.DEAD, "shop", "", [1]),
            (series.FAILED, "shop", "", [1]),
            (series.LENGTH, "", "", [100]),
        ]
    )

    assert [found.kind for found in attention(past, rejects=True)] == ["full", "failing", "dead", "refusing"]


def test_the_begin_is_that_of_the_trouble_and_one_good_minute_does_not_end_it():
    past = past_of(
        [(series.FAILED, "shop", "", [1])],
        hour=[(series.FAILED, "shop", "", [8, 0, 0, 3, 0, 2, 1])],
    )

    (found,) = attention(past)

    assert found.since == NOW - 4 * 60


def test_without_minutes_the_begin_is_told_from_the_samples():
    (found,) = attention(past_of([(series.DEAD, "shop", "", [1, 1, 1])]))

    assert found == Finding(kind="dead", stream="orders", group="shop", amount=1, since=NOW - 15)


def test_lost_events_are_told_for_an_hour_since_the_first_of_them():
    past = past_of([(series.LOST, "shop", "", [0, 0])], hour=[(series.LOST, "shop", "", [7, *[0] * 9, 2, 0, 0, 0])])

    (found,) = attention(past)

    assert (found.kind, found.amount, found.since) == ("lost", 9, NOW - 14 * 60)


def test_events_that_were_lost_in_the_minute_that_is_not_over_are_told_at_once():
    past = past_of([(series.LOST, "shop", "", [4, 0, 3])], hour=[(series.LOST, "shop", "", [4])])
    # The minutes that are over end ten seconds ago: the sample before is one of them, and counted with them.
    (found,) = attention(replace(past, hour_begins=past.hour_begins - 10))

    assert (found.amount, found.since) == (7, NOW - 70)


def test_events_that_were_never_lost_are_no_finding():
    assert attention(past_of([(series.LOST, "shop", "", [0])], hour=[(series.LOST, "shop", "", [0])])) == []


def test_a_gap_does_not_end_a_trouble():
    (found,) = attention(
        past_of([(series.FAILED, "shop", "", [1])], hour=[(series.FAILED, "shop", "", [3, None, None, None, 2])])
    )

    assert found.since == NOW - 5 * 60


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([100, 100, 101, 100], "steady"),
        ([100, None, 300], "rising"),
        ([1000, 900, 800], "draining: empty in 80 s"),
        ([10_000, 9_900, 9_800], "draining: empty in 16 min"),
        ([5], ""),
        ([None, None], ""),
        ([0, 0, 0], "steady"),
    ],
)
def test_the_trend_of_a_backlog_is_told_in_words(row, said):
    assert describe_trend(row, 10) == said


def test_a_rate_is_counted_over_the_last_samples_and_gaps_are_no_zeros():
    past = past_of([(series.PUBLISHED, "", "", [50, 50, None, None, 50, 50])])

    assert past.rate(series.PUBLISHED) == 10.0
    assert past_of().rate(series.PUBLISHED) is None


def test_failures_that_go_on_for_minutes_began_with_the_first_of_them(scene):
    scene.redis.xgroup_create("orders", "shop", "$", mkstream=True)
    scene.sample(12)
    for _ in range(60):
        scene.redis.hincrby(keyspace.counters("orders", "shop"), "retried", 1)
        scene.sample()

    (found,) = attention(connections.executor().run(read_histories(["orders"], now=int(scene.now)))["orders"])

    assert (found.kind, int(scene.now) - found.since) == ("failing", 300)


def test_failures_of_the_last_two_minutes_are_read_by_stream_and_group(scene):
    scene.redis.xgroup_create("orders", "shop", "$", mkstream=True)
    scene.sample(2)
    scene.redis.hincrby(keyspace.counters("orders", "shop"), "retried", 3)
    scene.redis.hincrby(keyspace.counters("orders", "shop"), "dead", 1)
    scene.sample()

    def failures():
        return connections.executor().run(read_failures(["orders"], now=int(scene.now)))

    assert failures() == {("orders", "shop"): 4}
    scene.sample(RECENT // 5)
    assert failures() == {}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([10] * 20, "steady"),
        ([10] * 10 + [11] * 10, "steady"),
        ([10] * 10 + [20] * 10, "rising"),
        ([20] * 10 + [None] * 5 + [10] * 5, "falling"),
        ([0] * 20, "steady"),
        ([None] * 10 + [5] * 10, ""),
        ([], ""),
    ],
)
def test_the_course_of_a_figure_is_told_in_a_word(row, said):
    assert describe_course(row) == said


def test_histories_that_are_asked_for_again_have_each_new_sample(scene):
    scene.sample(2)
    asked = []
    for count in (3, 4):
        scene.publish(count)
        scene.sample()
        for _ in range(2):
            past = connections.executor().run(read_histories(["orders"], now=int(scene.now)))["orders"]
            asked.append(past.recent[Key(series.PUBLISHED.number)][-2:])

    assert asked == [[0, 3], [0, 3], [3, 4], [3, 4]]
