"""Watching a stream: stored events arrive as they are stored."""

import httpx

from streams.snapshot import holder
from synapse.shares.resources import Percents
from tests.access.conftest import bearer
from tests.live.server import watching
from tests.patience import eventually
from tests.tables import for_each


def test_events_come_as_they_are_stored(server):
    server.publish(0)

    with watching(server.live()) as watch:
        ids = server.publish(1, 2)
        found = [watch.next(), watch.next()]

    assert [frame.id for frame in found] == ids
    assert [frame.data["event"] for frame in found] == [{"event_type": "order-placed", "n": n} for n in (1, 2)]


def test_a_message_has_the_form_that_the_list_of_messages_gives_it(server, redis):
    with watching(server.live()) as watch:
        redis.xadd("orders", {"\u00e9": b"\xff", "line": "a\nb\r\n\ndata: c"})
        found = watch.next()

    (listed,) = httpx.get(f"{server.url}/streams/orders/messages").json()["messages"]
    assert found.name == "message"
    assert found.data == listed


def test_the_answer_is_neither_cached_nor_buffered(server):
    with watching(server.live()) as watch:
        headers = watch.answer.headers

    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["x-content-type-options"] == "nosniff"
    assert "content-length" not in headers
    assert 1000 <= int(watch.opening.fields["retry"]) <= 3000


def test_the_first_frame_says_where_the_connection_begins(server):
    (newest,) = server.publish(1)

    with watching(server.live()) as watch:
        assert watch.opening.id == newest
        assert watch.opening.name == ""


def test_only_the_event_types_that_are_asked_for_come(server):
    with watching(server.live(), event_type=["order-lost", "order-found"]) as watch:
        server.publish(1)
        server.publish(2, event_type="order-lost")
        server.publish(3)
        server.publish(4, event_type="order-found")

        assert watch.numbers(2) == [2, 4]


def test_a_stream_that_never_had_an_event_can_be_watched(server, redis):
    assert not redis.exists("orders")

    with watching(server.live()) as watch:
        redis.xadd("orders", {"event": "order-placed", "n": 1})

        assert watch.numbers(1) == [1]


def test_a_page_of_another_site_may_watch_when_its_origin_is_allowed(server):
    origin = {"Origin": "http://localhost:5173"}

    with httpx.stream("GET", server.live(), headers=origin) as answer:
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"


def test_a_client_that_goes_away_is_noticed(server):
    with watching(server.live()):
        assert server.watching() == 1

    eventually(lambda: server.watching() == 0)


@for_each(
    "path, status, kind",
    [
        ("/streams/nowhere/live", 404, "unknown-stream"),
        ("/streams/taken/live", 409, "not-a-stream"),
        ("/streams/orders/live?last_event_id=yesterday", 400, "bad-parameter"),
        ("/streams/orders/live?last_event_id=99999999999999999999-0", 400, "bad-parameter"),
        ("/streams/orders/live?since=yesterday", 400, "bad-parameter"),
    ],
)
def test_an_unwatchable_request_is_answered_with_a_problem_document(server, redis, path, status, kind):
    redis.set("taken", "by another program")

    answer = httpx.get(server.url + path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["type"].endswith(kind)


@for_each("method", ["HEAD", "POST", "DELETE"])
def test_other_methods_are_refused(server, method):
    answer = httpx.request(method, server.live())

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, OPTIONS"


def test_a_watcher_beyond_the_limit_is_answered_503_until_one_leaves(server, settings):
    settings.LIVE_WATCHERS, settings.SHARES = 2, {"live-seats": Percents(caller=100, anonymous=100)}
    with watching(server.live()), watching(server.live("parcels")):
        refused = httpx.get(server.live())

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert refused.json()["type"].endswith("too-many-watchers")
    eventually(lambda: server.watching() == 0)
    with watching(server.live()) as watch:
        server.publish(1)
        assert watch.numbers(1) == [1]


def test_a_service_whose_seats_are_used_up_is_refused_and_another_one_watches(server, settings, key_of):
    settings.AUTH, settings.LIVE_WATCHERS = "required", 8
    eager, calm = (bearer(key_of(name, subscribes=["orders"])) for name in ("eager", "calm"))
    holder.refresh()

    with watching(server.live(), headers=eager), watching(server.live(), headers=eager):
        refused = httpx.get(server.live(), headers=eager)
        with watching(server.live(), headers=calm):
            assert server.watching() == 3

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert refused.json()["type"].endswith("share-used-up")
    assert refused.json()["resource"] == "live-seats"


def test_a_watcher_with_a_ticket_takes_a_seat_of_the_service_that_got_the_ticket(server, settings, key_of):
    settings.AUTH, settings.LIVE_WATCHERS = "required", 4
    eager = bearer(key_of("eager", subscribes=["orders"]))
    holder.refresh()
    tickets = [httpx.post(f"{server.live()}-ticket", headers=eager).json()["ticket"] for _ in range(2)]

    with watching(server.live(), ticket=tickets[0]):
        refused = httpx.get(server.live(), params={"ticket": tickets[1]})

    assert refused.status_code == 429


def test_a_stream_that_cannot_be_asked_for_is_answered_503(own_server, own_valkey):
    own_valkey.kill()

    answer = httpx.get(own_server.live())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["type"].endswith("redis-down")
