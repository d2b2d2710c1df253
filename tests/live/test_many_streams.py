"""`GET /live`: events of many streams over one connection."""

import threading
import time
from collections import defaultdict

import httpx
import pytest

from streams.live import followed_streams, gateway
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.live import pages, query, watcher
from synapse.shares.resources import Percents
from tests.chaos.profile import FULL
from tests.live.server import watching
from tests.patience import eventually
from tests.tables import for_each

# How often a watcher comes back while events are stored.
CONNECTIONS = 12 if FULL else 4
BOTH = {"stream": ["orders", "parcels"]}


@pytest.fixture
def url(server):
    return f"{server.url}/live"


@pytest.fixture
def place(redis):
    """Store events: `place("orders", 1, 2)` returns their ids."""

    def place(stream, *numbers, **more):
        fields = {"event_type": "order-placed", **more}
        return [redis.xadd(stream, {**fields, "n": number}).decode() for number in numbers]

    return place


def seen(watch, count):
    """Wait for so many messages and return the stream and number of each."""
    found = [watch.next() for _ in range(count)]
    assert [frame.name for frame in found] == ["message"] * count, found
    return [(frame.data["stream"], frame.data["event"]["n"]) for frame in found]


def by_stream(pairs):
    found = defaultdict(list)
    for stream, number in pairs:
        found[stream].append(number)
    return dict(found)


class TestFrames:
    def test_events_of_all_named_streams_come_over_one_connection(self, server, url, place):
        with watching(url, **BOTH) as watch:
            place("orders", 1)
            assert seen(watch, 1) == [("orders", 1)]
            place("parcels", 2)
            place("letters", 9)
            assert seen(watch, 1) == [("parcels", 2)]
            place("orders", 3)
            assert seen(watch, 1) == [("orders", 3)]
            assert server.watching() == 2

    def test_a_frame_has_the_data_of_the_tail_of_its_stream_and_the_stream(self, server, url, place):
        with watching(url, stream="orders,parcels") as watch, watching(server.live()) as alone:
            place("orders", 1)
            frame, single = watch.next(), alone.next()

        assert frame.data == {"stream": "orders", **single.data}
        assert frame.id.startswith("v1~")
        assert watch.opening.id.count("~") == 2

    def test_streams_can_be_watched_through_one_read_loop_each(self, server, url, redis):
        with watching(url, **BOTH), watching(url, **BOTH), watching(server.live()):
            eventually(lambda: sum(client["cmd"] == "xread" for client in redis.client_list()) == 2)

    def test_types_and_filters_hold_for_all_streams(self, url, place):
        with watching(url, **BOTH, event_type="order-placed", filter='event.n > 1 || stream == "parcels"') as watch:
            place("orders", 1, 2)
            place("orders", 3, event_type="order-lost")
            place("parcels", 1)

            assert by_stream(seen(watch, 2)) == {"orders": [2], "parcels": [1]}

    def test_a_heartbeat_moves_the_position_over_what_was_left_out(self, url, place, settings):
        settings.LIVE_HEARTBEAT = 0.1
        with watching(url, **BOTH, event_type="order-lost") as watch:
            began = watch.last_id
            place("orders", 1)
            place("parcels", 1)
            while query.parse_positions(watch.last_id).position_of("parcels") == query.parse_positions(
                began
            ).position_of("parcels"):
                assert watch.frame().comment == "heartbeat"
            last_id = watch.last_id

        with watching(url, last_id=last_id, **BOTH) as watch:
            place("orders", 2)
            assert seen(watch, 1) == [("orders", 2)]

    def test_a_stream_that_is_deleted_and_made_anew_is_named_in_the_gap(self, url, redis, place):
        with watching(url, **BOTH) as watch:
            redis.xadd("orders", {"event_type": "order-placed", "n": 1}, id="9999999999999-0")
            assert seen(watch, 1) == [("orders", 1)]
            redis.delete("orders")
            place("orders", 2)
            gap = watch.next()
            assert seen(watch, 1) == [("orders", 2)]

        assert (gap.name, gap.data["stream"], gap.data["reason"]) == ("gap", "orders", "restarted")
        assert query.parse_positions(gap.id).position_of("orders") == (0, 0)


class TestResuming:
    def test_all_streams_go_on_where_the_connection_broke(self, url, place):
        with watching(url, **BOTH) as watch:
            place("orders", 1)
            place("parcels", 2)
            seen(watch, 2)
        place("parcels", 4)
        place("orders", 3, 5)

        with watching(url, last_id=watch.last_id, **BOTH) as watch:
            assert by_stream(seen(watch, 3)) == {"orders": [3, 5], "parcels": [4]}
            place("parcels", 6)
            assert seen(watch, 1) == [("parcels", 6)]

    @pytest.mark.parametrize("name", ["last_event_id", "lastEventId"])
    def test_a_connection_that_broke_before_the_first_event_loses_nothing(self, url, place, name):
        with watching(url, **BOTH) as watch:
            began = watch.last_id
        place("orders", 1)

        with watching(url, **BOTH, **{name: began}) as watch:
            assert seen(watch, 1) == [("orders", 1)]

    def test_the_id_zero_and_a_time_begin_at_that_place_in_all_streams(self, url, place):
        place("orders", 1, 2)
        place("parcels", 3)

        for asked in ({"last_event_id": "0"}, {"since": "2020-01-01"}):
            with watching(url, **BOTH, **asked) as watch:
                assert by_stream(seen(watch, 3)) == {"orders": [1, 2], "parcels": [3]}

    @pytest.mark.parametrize("page", [1, 7, 50])
    def test_events_that_are_stored_meanwhile_are_neither_missed_nor_repeated(self, url, place, monkeypatch, page):
        monkeypatch.setattr(pages, "_FIRST", page)
        monkeypatch.setattr(pages, "_MOST", page)
        published, enough = {"orders": 0, "parcels": 0}, threading.Event()

        def publish():
            while not enough.is_set() and published["orders"] < 20_000:
                for stream, number in published.items():
                    place(stream, number)
                    published[stream] += 1
                time.sleep(0.001)

        publisher = threading.Thread(target=publish)
        publisher.start()
        received, last_id = [], "0"
        try:
            for _ in range(CONNECTIONS):
                with watching(url, last_id=last_id, **BOTH) as watch:
                    received += seen(watch, 30)
                    last_id = watch.last_id
        finally:
            enough.set()
            publisher.join()

        found = by_stream(received)
        assert {stream: list(range(len(numbers))) for stream, numbers in found.items()} == found
        assert len(received) == 30 * CONNECTIONS

    def test_long_absences_are_caught_up_with_nearly_in_the_order_of_time(self, url, redis):
        with redis.pipeline() as many:
            for number in range(600):
                many.xadd(("orders", "parcels")[number % 2], {"event_type": "a", "n": number}, id=f"{number + 1}-0")
            many.execute()

        with watching(url, last_event_id="0", **BOTH) as watch:
            found = [number for _, number in seen(watch, 600)]

        assert sorted(found) == list(range(600))
        assert all(abs(number - at) <= 200 for at, number in enumerate(found))

    def test_a_gap_names_the_stream_of_which_events_are_missing(self, url, redis, place):
        with watching(url, **BOTH) as watch:
            ids = place("orders", 1, 2, 3, 4)
            assert seen(watch, 1) == [("orders", 1)]
            last_id = watch.last_id
        place("parcels", 5)
        redis.xtrim("orders", minid=ids[2], approximate=False)

        with watching(url, last_id=last_id, **BOTH) as watch:
            found = [watch.next() for _ in range(4)]

        (gap,) = [frame for frame in found if frame.name == "gap"]
        assert (gap.data["stream"], gap.data["reason"], gap.data["after"]) == ("orders", "trimmed", ids[0])
        events = [(frame.data["stream"], frame.data["event"]["n"]) for frame in found if frame is not gap]
        assert by_stream(events) == {"orders": [3, 4], "parcels": [5]}

    def test_a_position_in_a_stream_that_is_no_more_begins_with_the_oldest(self, url, redis, place):
        with watching(url, **BOTH) as watch:
            redis.xadd("orders", {"event_type": "order-placed", "n": 1}, id="9999999999999-0")
            seen(watch, 1)
        redis.delete("orders")
        place("orders", 2)

        with watching(url, last_id=watch.last_id, **BOTH) as watch:
            gap = watch.next()
            assert (gap.data["stream"], gap.data["reason"]) == ("orders", "restarted")
            assert seen(watch, 1) == [("orders", 2)]


class TestAllStreams:
    @pytest.mark.parametrize("asked", [{}, {"stream": "*"}, {"stream": "orders,*"}])
    def test_events_of_all_streams_come(self, url, place, asked):
        with watching(url, **asked) as watch:
            place("parcels", 1)
            assert seen(watch, 1) == [("parcels", 1)]
            assert watch.last_id.startswith("v1*~")

    def test_a_stream_whose_key_is_of_another_type_keeps_no_other_back(self, url, place, redis):
        redis.set("taken", "by another program")
        with watching(url) as watch:
            place("orders", 1)
            assert seen(watch, 1) == [("orders", 1)]

            redis.delete("taken")
            place("taken", 2)
            assert seen(watch, 1) == [("taken", 2)]
            place("taken", 3)
            place("parcels", 4)
            assert by_stream(seen(watch, 2)) == {"taken": [3], "parcels": [4]}
            last_id = watch.last_id

        place("taken", 5)
        with watching(url, last_id=last_id) as watch:
            assert seen(watch, 1) == [("taken", 5)]

    def test_all_streams_are_refused_where_none_can_be_read(self, url, redis):
        for stream in ("orders", "parcels", "taken"):
            redis.set(stream, "by another program")

        answer = httpx.get(url)

        assert (answer.status_code, answer.json()["type"].endswith("not-a-stream")) == (409, True)

    def test_a_stream_that_appears_joins_with_its_first_events(self, server, url, define, place):
        with watching(url) as watch:
            place("letters", 1)
            define("letters")
            holder.refresh()
            assert seen(watch, 1) == [("letters", 1)]
            place("letters", 2)
            assert seen(watch, 1) == [("letters", 2)]
            last_id = watch.last_id

        define("notes")
        place("notes", 3)
        holder.refresh()
        with watching(url, last_id=last_id) as watch:
            assert seen(watch, 1) == [("notes", 3)]

    def test_a_stream_that_is_deleted_leaves(self, server, url, place):
        with watching(url) as watch:
            Stream.objects.get(name="parcels").delete()
            holder.refresh()
            eventually(lambda: server.watching() == 2)
            place("parcels", 1)
            place("orders", 2)

            assert seen(watch, 1) == [("orders", 2)]
            last_id = watch.last_id
        with watching(url, last_id=last_id) as watch:
            place("orders", 3)
            assert seen(watch, 1) == [("orders", 3)]

    def test_a_stream_beyond_the_most_ends_the_connection_with_the_reason(self, url, define, monkeypatch):
        monkeypatch.setattr(followed_streams, "MOST_STREAMS", 3)
        monkeypatch.setattr(query, "MOST_STREAMS", 3)
        with watching(url) as watch:
            define("letters")
            holder.refresh()
            (end,) = watch.rest()

        assert end.name == "bye"
        assert "name those that you want" in end.data["reason"]
        refused = httpx.get(url)
        assert (refused.status_code, refused.json()["parameter"]) == (400, "stream")
        assert "at most 3" in refused.json()["detail"]

    def test_without_any_stream_the_connection_waits_for_the_first(self, url, define, place):
        EventType.objects.all().delete()
        Stream.objects.all().delete()
        holder.refresh()
        with watching(url) as watch:
            define("letters")
            holder.refresh()
            place("letters", 1)

            assert seen(watch, 1) == [("letters", 1)]


@for_each(
    "asked, status, kind",
    [
        ({"stream": ["orders", "nowhere"]}, 404, "unknown-stream"),
        ({"stream": ["orders", "taken"]}, 409, "not-a-stream"),
        ({"stream": [f"s{number}" for number in range(101)]}, 400, "bad-parameter"),
        ({"stream": ",".join(f"s{number}" for number in range(2000))}, 400, "bad-parameter"),
        ({"streams": "orders"}, 400, "bad-parameter"),
        ({**BOTH, "last_event_id": "1705314600000-0"}, 400, "bad-parameter"),
        ({**BOTH, "last_event_id": "v1~nonsense"}, 400, "bad-parameter"),
        ({**BOTH, "last_event_id": "v1" + "~00000000001" * 300}, 400, "bad-parameter"),
        ({**BOTH, "last_event_id": "v1*"}, 400, "bad-parameter"),
        ({"last_event_id": "v1"}, 400, "bad-parameter"),
        ({**BOTH, "last_event_id": "v1~00000000001"}, 400, "bad-parameter"),
        ({**BOTH, "since": "yesterday"}, 400, "bad-parameter"),
        ({**BOTH, "filter": "event.n = 1"}, 400, "bad-filter"),
    ],
)
def test_a_request_that_cannot_be_watched_is_answered_with_a_problem_document(url, redis, asked, status, kind):
    redis.set("taken", "by another program")

    answer = httpx.get(url, params=asked)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"].endswith(kind)


class TestRefusals:
    def test_a_position_of_other_streams_is_refused(self, url):
        with watching(url, **BOTH) as watch:
            last_id = watch.last_id

        answer = httpx.get(url, params={"stream": "orders"}, headers={"Last-Event-ID": last_id})

        assert answer.status_code == 400
        assert "watched other streams" in answer.json()["detail"]

    def test_a_position_in_some_of_the_streams_is_enough(self, url, place):
        with watching(url, stream="orders") as watch:
            last_id = watch.last_id
        place("orders", 1)

        with watching(url, last_id=last_id, **BOTH) as watch:
            assert seen(watch, 1) == [("orders", 1)]

    def test_a_connection_takes_one_seat_however_many_streams_it_watches(self, server, url, settings):
        settings.LIVE_WATCHERS, settings.SHARES = 2, {"live-seats": Percents(caller=100, anonymous=100)}
        with watching(url), watching(url):
            refused = httpx.get(url)

        assert (refused.status_code, refused.json()["type"].endswith("too-many-watchers")) == (503, True)
        eventually(lambda: server.watching() == 0)
        with watching(url):
            assert server.watching() == 3


class TestSlowWatchers:
    def test_the_queue_is_bounded_over_all_streams_together(self, url, redis, place, monkeypatch):
        monkeypatch.setattr(watcher, "MOST_WAITING", 3)
        taken, slow, held = threading.Event(), threading.Event(), threading.Event()
        sent, end = gateway.GatewaySession._filter_items, watcher.Watcher.end

        async def blocked(self, items):
            if items:
                taken.set()
            while items and not held.is_set():
                await gateway.asyncio.sleep(0.01)
            return await sent(self, items)

        def ended(self, reason):
            end(self, reason)
            slow.set()

        monkeypatch.setattr(gateway.GatewaySession, "_filter_items", blocked)
        monkeypatch.setattr(watcher.Watcher, "end", ended)
        with watching(url, **BOTH) as watch:
            place("orders", 0)
            # Of those behind the first one, which is being sent, more wait than may.
            assert taken.wait(60)
            place("orders", 1, 2)
            place("parcels", 3, 4, 5)
            assert slow.wait(60)
            held.set()
            found = watch.rest()
            last_id = watch.last_id

        assert found[-1].name == "dropped"
        assert found[-1].data["last_event_id"] == last_id
        got = [(frame.data["stream"], frame.data["event"]["n"]) for frame in found[:-1]]
        monkeypatch.undo()
        with watching(url, last_id=last_id, **BOTH) as watch:
            rest = by_stream([*got, *seen(watch, 6 - len(got))])
        assert rest == {"orders": [0, 1, 2], "parcels": [3, 4, 5]}

    @pytest.mark.parametrize("asked", [{"stream": "orders,parcels"}, {}])
    def test_a_connection_that_is_dropped_while_it_waits_misses_nothing_when_it_comes_back(
        self, url, redis, place, monkeypatch, asked
    ):
        monkeypatch.setattr(watcher, "MOST_WAITING", 3)
        with watching(url, **asked) as watch:
            place("orders", 0)
            assert seen(watch, 1) == [("orders", 0)]
            # The read loop gets most of them at once, and offers them before the connection is woken.
            with redis.pipeline() as many:
                for number in range(1, 101):
                    many.xadd("orders", {"event_type": "order-placed", "n": number})
                many.execute()
            *before, end = watch.rest()

        assert end.name == "dropped"
        assert len(before) < 100
        with watching(url, last_id=end.data["last_event_id"], **asked) as watch:
            after = seen(watch, 100 - len(before))
        got = [frame.data["event"]["n"] for frame in before]
        assert [*got, *(number for _, number in after)] == list(range(1, 101))

    def test_a_connection_that_catches_up_with_one_stream_is_not_dropped_for_the_others(
        self, url, redis, place, monkeypatch
    ):
        monkeypatch.setattr(watcher, "MOST_WAITING", 3)
        monkeypatch.setattr(pages, "_FIRST", 1)
        monkeypatch.setattr(pages, "_MOST", 1)
        place("orders", *range(100))

        with watching(url, stream="orders,parcels", last_event_id="0") as watch:
            found = seen(watch, 1)
            place("parcels", *range(30))
            found += seen(watch, 129)

        assert by_stream(found) == {"orders": list(range(100)), "parcels": list(range(30))}


def test_redis_may_restart_and_no_stream_loses_an_event(own_server, own_valkey, settings):
    settings.LIVE_HEARTBEAT = 0.1
    own_valkey.options = ("--appendonly", "yes", "--appendfsync", "always")
    own_valkey.kill()
    own_valkey.start()
    with watching(f"{own_server.url}/live", **BOTH) as watch:
        own_server.publish(1)
        assert seen(watch, 1) == [("orders", 1)]

        own_valkey.kill()
        assert watch.frame().comment == "heartbeat"
        own_valkey.start()
        with own_valkey.client() as redis:
            for stream in BOTH["stream"]:
                redis.xadd(stream, {"event_type": "order-placed", "n": 2})

        assert sorted(seen(watch, 2)) == [("orders", 2), ("parcels", 2)]


def test_a_server_that_stops_says_bye_with_the_position(server, url, place):
    with watching(url, **BOTH) as watch:
        place("orders", 1)
        seen(watch, 1)
        server.stop()
        (end,) = watch.rest()

    assert (end.name, end.data["last_event_id"]) == ("bye", watch.last_id)
