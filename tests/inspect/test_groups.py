"""The consumer groups of a stream: `/streams/{stream}/groups`."""

import time

import pytest


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders")


@pytest.fixture
def ask(express_lane):
    """The front door hands this route to Django, so one lane is both."""
    return express_lane


def groups(ask):
    return ask("GET", "/streams/orders/groups").json["groups"]


def test_a_stream_that_nobody_reads_has_no_groups(ask):
    answer = ask("GET", "/streams/orders/groups")

    assert (answer.status, answer.json) == (200, {"stream": "orders", "groups": []})


def test_a_group_shows_what_it_has_read_and_what_it_still_owes(ask, redis):
    redis.xgroup_create("orders", "billing", "0", mkstream=True)
    now_ms = int(time.time() * 1000)
    for second in (30, 20, 10):
        redis.xadd("orders", {"n": second}, id=f"{now_ms - second * 1000}-0")
    redis.xreadgroup("billing", "anna", {"orders": ">"}, count=1)

    (group,) = groups(ask)

    assert (group["name"], group["consumers"], group["pending"]) == ("billing", 1, 1)
    assert group["last_delivered_id"] == f"{now_ms - 30_000}-0"
    assert (group["lag"], group["lag_exact"]) == (2, True)
    took = time.time() - now_ms / 1000
    assert 20 <= group["lag_seconds"] <= 20 + took
    (member,) = group["members"]
    assert (member["name"], member["pending"]) == ("anna", 1)
    assert 0 <= member["idle_seconds"] <= took


def test_a_group_that_has_read_everything_has_no_lag(ask, redis):
    redis.xadd("orders", {"n": 1})
    redis.xgroup_create("orders", "billing", "$")

    (group,) = groups(ask)

    assert (group["lag"], group["lag_exact"], group["lag_seconds"]) == (0, True, 0.0)


def test_lag_is_right_after_deletions_where_redis_does_not_know_it(ask, redis):
    ids = [redis.xadd("orders", {"n": number}) for number in range(5)]
    redis.xgroup_create("orders", "billing", ids[0])
    redis.xdel("orders", ids[2])

    assert groups(ask)[0]["lag"] == 3


def test_lag_is_counted_to_ten_thousand(ask, redis):
    script = "for i = 1, 12000 do redis.call('XADD', KEYS[1], i .. '-1', 'n', i) end"
    redis.eval(script, 1, "orders")
    redis.xgroup_create("orders", "behind", "0")
    redis.xgroup_create("orders", "near", "2500-1")

    behind, near = groups(ask)

    assert (behind["lag"], behind["lag_exact"]) == (10_000, False)
    assert (near["lag"], near["lag_exact"]) == (9_500, True)


def test_names_that_are_no_text_do_not_break_the_list(ask, redis):
    redis.xgroup_create("orders", b"\xff\xfe", "0", mkstream=True)

    assert groups(ask)[0]["name"] == "��"
