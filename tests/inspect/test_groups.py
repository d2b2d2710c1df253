"""The consumer groups of a stream: `/streams/{stream}/groups`."""

import random
import time

import pytest

from synapse.inspection import lag
from synapse.inspection.groups import statuses_of
from synapse.redis.errors import WrongType


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders")


@pytest.fixture
def ask(event_loop_client):
    """The front door hands this route to Django, so one way is both."""
    return event_loop_client


def groups(ask):
    return ask("GET", "/streams/orders/groups").json["groups"]


def test_a_stream_without_readers_has_no_groups(ask):
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
    filled(redis, 12_000)
    redis.xgroup_create("orders", "behind", "0")
    redis.xgroup_create("orders", "near", "2500-1")

    behind, near = groups(ask)

    assert (behind["lag"], behind["lag_exact"]) == (10_000, False)
    assert (near["lag"], near["lag_exact"]) == (9_500, True)


def filled(redis, count, *, stream="orders"):
    script = "for i = 1, ARGV[1] do redis.call('XADD', KEYS[1], i .. '-1', 'n', i) end"
    redis.eval(script, 1, stream, count)


class Watched:
    """The project's executor, with a list of the commands of each round trip."""

    def __init__(self, executor, monkeypatch):
        self.trips = []
        execute = executor.execute

        def watched(commands):
            if commands:  # without any, a conversation lets others have their turn
                self.trips.append([" ".join(map(str, command.words)) for command in commands])
            return execute(commands)

        monkeypatch.setattr(executor, "execute", watched)

    @property
    def reads(self):
        return [command for trip in self.trips for command in trip if command.startswith(("XRANGE", "XREVRANGE"))]


def test_entries_are_read_once_for_all_groups(executor, redis, monkeypatch, db):
    filled(redis, 3000)
    for number in range(15):
        redis.xgroup_create("orders", f"group-{number}", f"{2999 - number}-1")
    watched = Watched(executor, monkeypatch)

    found = executor.run(statuses_of("orders"))

    assert [one.behind.events for one in sorted(found, key=lambda one: one.behind.events)] == list(range(1, 16))
    assert len(watched.trips) == 3
    assert len(watched.reads) == 1


def test_more_groups_take_no_more_round_trips(executor, redis, monkeypatch, db):
    def trips_with(groups):
        for number in range(groups):
            redis.xgroup_create("orders", f"group-{groups}-{number}", f"{100 + number}-1")
        watched = Watched(executor, monkeypatch)
        executor.run(statuses_of("orders"))
        monkeypatch.undo()
        return len(watched.trips)

    filled(redis, 3000)

    assert trips_with(1) == trips_with(30)


def test_the_lag_of_groups_that_never_read_is_known_without_a_walk(executor, redis, monkeypatch, db):
    filled(redis, 12_000)
    redis.xgroup_create("orders", "never", "0")
    redis.xgroup_create("orders", "overtaken", "500-1")
    redis.xtrim("orders", minid="3001-1", approximate=False)
    watched = Watched(executor, monkeypatch)

    never, overtaken = executor.run(statuses_of("orders"))

    assert never.behind == overtaken.behind == lag.Lag(events=9000, exact=True, since=3001)
    assert len(watched.trips) == 4


@pytest.mark.parametrize("seed", range(20))
def test_lag_is_what_counting_one_by_one_finds(executor, redis, seed):
    chance = random.Random(seed)
    filled(redis, 1500)
    redis.xadd("orders", {"n": 0}, id="1500-2")
    gone = chance.sample(range(1, 1501), chance.choice((0, 3, 900)))
    if gone:
        redis.xdel("orders", *(f"{number}-1" for number in gone))
    kept = sorted([(number, 1) for number in range(1, 1501) if number not in gone] + [(1500, 2)])
    places = [(0, 0), (1500, 1), (1500, 2), (9999, 0)] + [
        (chance.randrange(1500), chance.choice((0, 1, 7))) for _ in range(12)
    ]
    asked = chance.sample(places, 6)
    most = chance.choice((50, 100, 700, 10_000))

    found = executor.run(lag.lags_of({("orders", str(place)): f"{place[0]}-{place[1]}" for place in asked}, most=most))

    for place in asked:
        unread = [id_ for id_ in kept if id_ > place]
        one = found["orders", str(place)]
        assert one.events == min(len(unread), most)
        assert one.exact == (len(unread) <= most) or (not one.exact and len(unread) == most)
        assert one.since == (unread[0][0] if unread else None)


def test_each_stream_is_counted_by_itself(executor, redis):
    filled(redis, 5)
    filled(redis, 700, stream="invoices")

    found = executor.run(lag.lags_of({("orders", "a"): "2-1", ("invoices", "a"): "2-1", ("nothing", "a"): "0-0"}))

    assert [found[stream, "a"].events for stream in ("orders", "invoices", "nothing")] == [3, 698, 0]


def test_a_key_that_is_no_stream_has_no_lag(executor, redis):
    redis.set("orders", "text")

    with pytest.raises(WrongType):
        executor.run(lag.lags_of({("orders", "a"): "0-0"}))


def test_names_that_are_no_text_do_not_break_the_list(ask, redis):
    redis.xgroup_create("orders", b"\xff\xfe", "0", mkstream=True)

    assert groups(ask)[0]["name"] == "��"
