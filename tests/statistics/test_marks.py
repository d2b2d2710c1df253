"""The lag of a group by marks is the number of events that it has not read, or says that it is an estimate."""

import random

import pytest

from synapse.statistics.collection import MOST_COUNTED_A_ROUND
from synapse.statistics.marks import MOST_COUNTED


@pytest.fixture
def lag_of(scene):
    """Take a sample, and return the latest lag of the group with whether it is exact."""

    def lag_of(group: str = "billing") -> tuple[int, bool]:
        scene.sample(2)
        inexact = scene.row("lag_inexact", steps=1, group=group)[0]
        return scene.row("lag_events", steps=1, group=group)[0], not inexact

    return lag_of


def read(scene, count, group="billing"):
    scene.redis.xreadgroup(group, "one", {"orders": ">"}, count=count, noack=True)


def test_a_group_that_has_read_nothing_is_behind_by_all_that_the_stream_holds(scene, lag_of):
    scene.publish(3000)
    scene.redis.xgroup_create("orders", "billing", "0")

    assert lag_of() == (3000, True)


def test_a_group_that_has_read_all_is_not_behind(scene, lag_of):
    scene.publish(5)
    scene.redis.xgroup_create("orders", "billing", "$")

    assert lag_of() == (0, True)
    assert scene.row("lag_seconds", steps=1, group="billing") == [0]


def test_a_group_far_behind_is_counted_exactly_between_two_marks(scene, lag_of):
    scene.redis.xgroup_create("orders", "billing", "0", mkstream=True)
    for _ in range(6):
        scene.publish(MOST_COUNTED - 1)
        scene.sample()
    read(scene, MOST_COUNTED + 500)

    assert lag_of() == (6 * (MOST_COUNTED - 1) - MOST_COUNTED - 500, True)


def test_lags_agree_with_a_count_after_any_publishes_and_reads(scene, lag_of):
    dice = random.Random(3)
    scene.redis.xgroup_create("orders", "billing", "0", mkstream=True)
    published = consumed = 0
    for _ in range(12):
        count = dice.randrange(0, 700)
        scene.publish(count) if count else None
        published += count
        if count := dice.randrange(0, 500):
            read(scene, count)
        consumed = min(published, consumed + count)

        assert lag_of() == (published - consumed, True)


def test_a_place_without_marks_is_estimated_and_says_so(scene, lag_of):
    scene.publish(5000)
    scene.redis.xgroup_create("orders", "billing", "0")
    read(scene, 1000)

    events, is_exact = lag_of()

    assert not is_exact
    assert 1 <= events <= 5000


def test_after_a_deletion_a_lag_that_is_not_counted_says_that_it_is_no_count(scene, lag_of):
    scene.redis.xgroup_create("orders", "billing", "0", mkstream=True)
    for _ in range(4):
        scene.publish(MOST_COUNTED - 1)
        scene.sample()
    read(scene, 10)
    assert lag_of()[1]
    entries = scene.redis.xrange("orders", count=200)
    scene.redis.xdel("orders", *(entry_id for entry_id, _ in entries[100:]))

    assert not lag_of()[1]


def test_a_trim_by_another_program_leaves_what_is_there(scene, lag_of):
    scene.redis.xgroup_create("orders", "billing", "0", mkstream=True)
    scene.publish(100)
    read(scene, 10)
    scene.sample()
    scene.redis.xtrim("orders", maxlen=30, approximate=False)

    assert lag_of() == (30, True)


def test_a_stream_that_began_anew_has_no_old_marks(scene, lag_of):
    scene.publish(500)
    scene.sample(2)
    scene.redis.delete("orders")
    scene.publish(40)
    scene.redis.xgroup_create("orders", "billing", "0")
    read(scene, 10)

    assert lag_of() == (30, True)


def test_many_groups_far_behind_do_not_make_a_round_count_without_end(scene, lag_of):
    scene.publish(MOST_COUNTED)
    first = scene.redis.xrange("orders", count=1)[0][0]
    for number in range(100):
        scene.redis.xgroup_create("orders", f"g{number:03}", first)
    scene.sample()
    counted = []
    original = scene.sampler._collector._streams["orders"].marks.lag

    def lag(delivered_id, *, most):
        found = original(delivered_id, most=most)
        counted.append(found.most)
        return found

    scene.sampler._collector._streams["orders"].marks.lag = lag
    assert lag_of("g000")[0] == MOST_COUNTED - 1
    assert sum(counted[:100]) <= MOST_COUNTED_A_ROUND + 200
