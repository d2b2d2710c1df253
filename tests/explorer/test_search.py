"""Searching events over many streams: `GET /events`."""

from urllib.parse import quote

import orjson
import pytest

from synapse.explorer import merge
from synapse.redis import RedisUnreachable
from synapse.redis.commands import streams as stream_commands
from tests.definitions import define as define_stream
from tests.definitions import key_of
from tests.tables import for_each


@pytest.fixture
def shop(define):
    """Three streams of one shop."""
    for name in ("orders", "payments", "parcels"):
        define(name, {f"{name}-event": {"properties": {"n": {"type": "integer"}}}})


def find(ask, headers=None, **query):
    text = "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
    answer = ask("GET", f"/events?{text}", b"", headers or {})
    assert answer.status == 200, answer.body
    return answer.json


def found(page):
    return [f"{each['stream']} {each['id']}" for each in page["events"]]


def all_pages(ask, between=lambda: None, **query):
    pages = [find(ask, **query)]
    while pages[-1]["next"]:
        between()
        pages.append(find(ask, **{**query, "next": pages[-1]["next"]}))
    return pages


def fill(redis, each=5):
    """Entries of three streams by turns, with two of one id."""
    for number in range(1, each + 1):
        redis.xadd("orders", {"event_type": "orders-event", "n": number}, id=f"{number}00-0")
        redis.xadd("payments", {"event_type": "payments-event", "n": number}, id=f"{number}00-0")
        redis.xadd("parcels", {"event_type": "parcels-event", "n": number}, id=f"{number}50-0")


@pytest.fixture
def filled(redis, shop):
    fill(redis)


def test_events_of_all_streams_come_in_the_order_of_their_ids(ask, redis, shop):
    fill(redis, each=3)

    newest, oldest = (find(ask, order=order)["events"] for order in ("newest", "oldest"))

    assert [each["id"] for each in oldest] == sorted(each["id"] for each in oldest)
    assert newest == oldest[::-1]
    assert len(newest) == 9


def test_a_row_is_that_of_messages_with_its_stream(ask, redis, shop):
    redis.xadd("orders", {"event_type": "orders-event", "n": "7", "odd": "x"}, id="5-5")

    (row,) = find(ask)["events"]

    (message,) = ask("GET", "/streams/orders/messages").json["messages"]
    assert row == {"stream": "orders", **message}
    assert row["event"]["n"] == 7


@pytest.mark.parametrize(
    "streams", ["stream=orders,parcels", "stream=orders&stream=parcels", "stream=orders, parcels,"]
)
def test_streams_may_be_named_with_commas_and_by_repeating_the_parameter(ask, redis, shop, streams):
    fill(redis, each=1)

    page = ask("GET", f"/events?{streams.replace(' ', '%20')}").json

    assert page["streams"] == ["orders", "parcels"]
    assert found(page) == ["parcels 150-0", "orders 100-0"]


@for_each("order", ["newest", "oldest"])
@for_each("count", [1, 2, 4, 15])
def test_following_next_shows_every_event_once(ask, filled, order, count):
    pages = all_pages(ask, order=order, count=count)

    seen = [each for page in pages for each in found(page)]
    assert seen == found(find(ask, order=order, count=100))
    assert len(seen) == len(set(seen)) == 15
    assert all(len(page["events"]) <= count for page in pages)
    assert pages[-1]["complete"]


def test_an_event_that_is_stored_between_two_pages_is_shown_in_its_order(ask, redis, shop):
    fill(redis, each=2)

    first = find(ask, order="oldest", count=4)
    # The stream had ended when the page was made, and its entry has an id from before the page's end: clocks differ.
    redis.delete("parcels")
    redis.xadd("parcels", {"event_type": "parcels-event"}, id="151-0")
    redis.xadd("orders", {"event_type": "orders-event"}, id="900-0")
    rest = find(ask, order="oldest", next=first["next"])

    assert "orders 900-0" in found(rest)
    assert not set(found(first)) & set(found(rest))


def test_an_ended_stream_that_gets_an_entry_from_before_the_last_page_shows_it(ask, redis, shop):
    redis.xadd("payments", {"n": 1}, id="100-0")
    for number in range(1, 6):
        redis.xadd("orders", {"n": number}, id=f"{number}00-0")
    first = find(ask, order="oldest", count=4)
    redis.xadd("payments", {"n": 2}, id="150-0")
    redis.xadd("parcels", {"n": 3}, id="1-0")

    second = find(ask, order="oldest", count=1, next=first["next"])
    rest = [second, *all_pages(ask, order="oldest", count=1, next=second["next"])] if second["next"] else [second]

    seen = [each for page in (first, *rest) for each in found(page)]
    assert sorted(seen) == sorted(
        ["payments 100-0", "payments 150-0", "parcels 1-0", *(f"orders {number}00-0" for number in range(1, 6))]
    )


def test_newer_events_do_not_come_onto_later_pages_of_older_ones(ask, redis, shop):
    fill(redis, each=2)
    first = find(ask, count=3)
    redis.xadd("orders", {"n": 9}, id="900-0")

    rest = find(ask, next=first["next"])

    assert "orders 900-0" not in found(rest)
    assert len(found(first) + found(rest)) == 6


def test_trimmed_events_are_gone_and_the_others_come_once(ask, redis, shop):
    fill(redis)
    first = find(ask, order="oldest", count=5)
    redis.xtrim("orders", maxlen=1, approximate=False)

    rest = find(ask, order="oldest", next=first["next"])

    assert [each for each in found(rest) if each.startswith("orders")] == ["orders 500-0"]
    assert not set(found(first)) & set(found(rest))


def test_a_stream_that_is_deleted_meanwhile_is_left_out_of_a_search_over_all(ask, redis, shop):
    from streams.models import Stream
    from streams.snapshot import holder

    fill(redis)
    first = find(ask, count=4)
    Stream.objects.filter(name="parcels").delete()
    redis.delete("parcels")
    holder.forget()

    rest = find(ask, next=first["next"])

    assert len({*found(first), *found(rest)}) == len(found(first)) + len(found(rest))
    assert {each.split()[0] for each in found(rest)} == {"orders", "payments"}


@pytest.fixture
def texts(redis, shop):
    redis.xadd("orders", {"n": 1, "city": "Berlin"}, id="1-0")
    redis.xadd("orders", {"n": 2, "city": "Straße 5"}, id="2-0")
    redis.xadd("orders", {"n": 3, "list": '[{"Nested": ["a Deep value", true]}]'}, id="3-0")
    redis.xadd("orders", {"n": 4, "order": "47110", "said": 'say "Hi" now'}, id="4-0")
    redis.xadd("payments", {"n": 5, "event_type": "payments-event", "source": "Warehouse"}, id="5-0")


@for_each(
    "text, numbers",
    [
        ("berlin", [1]),
        ("BERLIN", [1]),
        ("straße", [2]),
        ("STRASSE", [2]),
        ("city", [1, 2]),
        ("nested", [3]),
        ("deep value", [3]),
        ("4711", [4]),
        ("true", [3]),
        ('say "hi"', [4]),
        ('":"', []),
        ('},"', []),
        ("payments-ev", [5]),
        ("warehouse", [5]),
        ("nothing of the kind", []),
    ],
)
def test_a_text_is_found_in_names_and_values_regardless_of_case(ask, texts, text, numbers):
    page = find(ask, q=text, order="oldest")

    assert [int(each["id"][0]) for each in page["events"]] == numbers
    assert (page["scanned"], page["complete"]) == (5, True)


def test_only_events_that_meet_a_filter_are_found(ask, redis, shop):
    fill(redis)

    page = find(ask, filter='event.n > 3 && stream != "payments"', order="oldest")

    assert found(page) == ["orders 400-0", "parcels 450-0", "orders 500-0", "parcels 550-0"]
    assert found(find(ask, filter="event.n > 3", q="parcels", event_type="parcels-event", count=1)) == ["parcels 550-0"]
    refused = ask("GET", f"/events?filter={quote('event.n >')}")
    assert (refused.status, refused.json["parameter"]) == (400, "filter")


def test_only_events_of_one_type_and_time_are_found(ask, redis, shop):
    fill(redis)

    page = find(ask, event_type="parcels-event", since="200", until="400-0")

    assert found(page) == ["parcels 350-0", "parcels 250-0"]


def test_a_search_stops_at_its_bound_and_goes_on_where_it_stopped(event_loop_client, redis, shop):
    with redis.pipeline(transaction=False) as pipe:
        pipe.xadd("orders", {"text": "needle"}, id="1-1")
        for number in range(2, 6_002):
            pipe.xadd("orders", {"n": number}, id=f"{number}-1")
            pipe.xadd("payments", {"n": number}, id=f"{number}-1")
        pipe.execute()

    first = find(event_loop_client, q="needle")
    second = find(event_loop_client, q="needle", next=first["next"])

    assert (first["events"], first["scanned"], first["complete"]) == ([], 10_000, False)
    assert (found(second), second["scanned"], second["complete"], second["next"]) == (["orders 1-1"], 2_001, True, None)


def test_the_histogram_counts_the_events_of_the_answer(ask, redis, shop):
    for ms in (10_000, 10_020, 10_250, 12_000):
        redis.xadd("orders", {"n": 1}, id=f"{ms}-0")

    histogram = find(ask)["histogram"]

    assert histogram[0] == {"from": 10_000, "to": 10_100, "count": 2}
    assert [each["from"] for each in histogram if each["count"]] == [10_000, 10_200, 12_000]
    assert sum(each["count"] for each in histogram) == 4
    assert len(histogram) == 21


def test_a_caller_finds_only_what_the_rights_allow(ask, redis, shop, settings):
    settings.AUTH = "required"
    define_stream("orders", {"order-lost": None})
    fill(redis, each=1)
    redis.xadd("orders", {"event_type": "order-lost", "n": 2}, id="101-0")
    key = key_of("reader", subscribes=["orders/order-lost", "parcels"])
    headers = {"authorization": f"Bearer {key}"}

    page = find(ask, headers)

    assert page["streams"] == ["orders", "parcels"]
    assert found(page) == ["parcels 150-0", "orders 101-0"]
    assert page["scanned"] == 3


def test_a_stream_that_may_not_be_read_and_one_that_never_was_are_refused_alike(ask, redis, shop, settings):
    settings.AUTH = "required"
    headers = {"authorization": f"Bearer {key_of('reader', subscribes=['parcels'])}"}

    answers = [ask("GET", f"/events?stream=parcels,{name}", b"", headers) for name in ("orders", "nowhere")]

    refused = [(answer.status, answer.body.replace(b"nowhere", b"orders")) for answer in answers]
    assert refused[0] == refused[1]
    assert refused[0][0] == 403


def test_an_unknown_stream_is_404_for_those_who_may_read_all(ask, shop):
    answer = ask("GET", "/events?stream=orders&stream=nowhere")

    assert (answer.status, answer.json["type"]) == (404, "urn:synapse:problem:unknown-stream")


def test_a_key_that_is_no_stream_is_named_and_the_other_streams_are_searched(ask, redis, shop):
    fill(redis, each=1)
    redis.delete("orders")
    redis.set("orders", "a text")

    page = find(ask)

    assert found(page) == ["parcels 150-0", "payments 100-0"]
    assert [each["stream"] for each in page["unread"]] == ["orders"]
    assert "orders" in page["unread"][0]["error"]
    alone = ask("GET", "/events?stream=orders")
    assert (alone.status, alone.json["type"]) == (409, "urn:synapse:problem:not-a-stream")


def test_without_events_and_without_streams_the_answer_is_empty(ask, redis, define):
    empty = {"events": [], "next": None, "scanned": 0, "complete": True, "histogram": [], "unread": [], "trimmed": []}

    assert empty.items() <= find(ask).items()
    define("orders")
    assert empty.items() <= find(ask).items()


@for_each(
    "text",
    [
        "x",
        "~",
        "~~",
        "0" * 10,
        "a~1-1",
        "\0",
        "1-1",
        "{search}~1~0123456789",
        "{search}~1-1",
        "{search}~1-1~012345678",
        "{search}~1-1~0123456789~",
        "{search}~1-1~0123456789~0123456789.5-1",
        "{search}~1-1~0123456789~0123456789.-5-1",
        "{search}~99999999999999999999-1~0123456789",
        "{search}~1-99999999999999999999~0123456789",
        "{search}~1_0-1~0123456789",
        "{search}~٣-1~0123456789",
        "{search}~1-1~0123456789" + "~0123456789" * 1100,
        "0123456789~1-1~0123456789",
    ],
)
def test_a_forged_cursor_is_refused(ask, filled, text):
    search = find(ask, count=1)["next"].partition("~")[0]

    answer = ask("GET", f"/events?next={quote(text.replace('{search}', search))}")

    assert (answer.status, answer.json["parameter"]) == (400, "next")


@pytest.mark.parametrize("query", ["stream=orders", "stream=orders,payments", "order=oldest"])
def test_a_cursor_of_another_search_is_refused(ask, redis, shop, query):
    fill(redis)
    cursor = find(ask, count=1)["next"]

    answer = ask("GET", f"/events?{query}&next={quote(cursor)}")

    assert (answer.status, answer.json["parameter"]) == (400, "next")
    assert "another search" in answer.json["detail"]


def test_so_many_streams_that_no_search_takes_them_are_refused(ask, redis, shop):
    fill(redis, each=1)
    many = "&".join(f"stream=s{number}" for number in range(301))
    same = "&".join(["stream=orders"] * 1000)

    refused = ask("GET", f"/events?{many}")

    assert (refused.status, refused.json["parameter"]) == (400, "stream")
    assert found(ask("GET", f"/events?{same}").json) == ["orders 100-0"]


@for_each("name", ["a b", "orders\0", "../x", "sÿn", "{orders}", "orders\n", "x" * 5000, "'; DROP"])
def test_odd_names_are_streams_that_there_are_not(ask, shop, name):
    assert ask("GET", f"/events?stream={quote(name)}").status == 404


def test_entries_of_other_programs_are_shown_as_they_are(ask, redis, shop):
    redis.xadd("orders", {b"\xff\xfe": b"\x00\x01", "payload": '{"a": {"b": [1, 2'}, id="1-0")
    redis.xadd("orders", {"deep": "[" * 600 + "]" * 600}, id="2-0")
    redis.xadd("orders", {"n": 1}, id="18446744073709551615-18446744073709551615")

    page = find(ask, order="oldest", q="e", count=1)
    rest = find(ask, order="oldest", q="", count=3)

    assert [each["id"] for each in rest["events"]] == ["1-0", "2-0", "18446744073709551615-18446744073709551615"]
    assert page["scanned"] >= 1
    assert all_pages(ask, order="oldest", count=1)[-1]["next"] is None


def test_large_entries_are_read_in_their_order(event_loop_client, redis, shop, monkeypatch):
    monkeypatch.setattr(merge, "MOST_AHEAD", 100_000)
    for number in range(1, 41):
        stream = ("orders", "payments", "parcels")[number % 3]
        redis.xadd(stream, {"n": number, "text": "x" * (50_000 if number % 2 else 10)}, id=f"{number}-0")

    pages = [find(event_loop_client, order=order, count=1000) for order in ("oldest", "newest")]

    assert [each["event"]["n"] for each in pages[0]["events"]] == list(range(1, 41))
    assert pages[1]["events"] == pages[0]["events"][::-1]


def test_many_streams_take_few_round_trips(redis, define, django_capture_on_commit_callbacks):
    from streams.connections import executor
    from streams.snapshot import holder
    from synapse.auth.principal import SYSTEM
    from synapse.explorer.search import EventsQuery, Search, find_events

    for number in range(50):
        define_stream(f"stream-{number}")
        for entry in range(1, 11):
            redis.xadd(f"stream-{number}", {"n": entry}, id=f"{entry}-{number}")
    search = Search.from_query(EventsQuery(), holder.current(), SYSTEM, count=100)
    asked, conversation = [], find_events(search)
    try:
        commands = next(conversation)
        while True:
            asked += [commands] if commands else []
            commands = conversation.send(executor().execute(commands))
    except StopIteration as end:
        result = end.value

    ids = [orjson.loads(row)["id"] for row in result.rows]
    assert ids == [f"{entry}-{number}" for entry in (10, 9) for number in reversed(range(50))]
    assert len(asked) <= 3
    assert isinstance(asked[0][0], type(stream_commands.ping()))


def test_a_search_over_years_is_as_any_other(ask, redis, shop):
    fill(redis, each=1)

    page = find(ask, since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z")

    assert len(page["events"]) == 3
    assert find(ask, since="9999-01-01T00:00:00Z")["events"] == []
    assert find(ask, since="200", until="100") == {**find(ask, since="9999-01-01T00:00:00Z")}


def test_trimmed_events_that_were_to_come_are_told(ask, redis, shop):
    fill(redis)
    first = find(ask, order="oldest", count=4)
    redis.xtrim("orders", maxlen=1, approximate=False)

    rest = find(ask, order="oldest", next=first["next"])

    assert (first["trimmed"], rest["trimmed"]) == ([], ["orders"])
    assert rest["next"] is None


def test_a_redis_that_does_not_answer_is_a_503(ask, shop, monkeypatch):
    monkeypatch.setattr(merge, "ask", unreachable)

    answer = ask("GET", "/events")

    assert (answer.status, answer.json["type"]) == (503, "urn:synapse:problem:redis-down")
    assert int(answer.headers["retry-after"]) >= 1


def unreachable(_commands):
    raise RedisUnreachable("Redis cannot be reached.")
    yield
