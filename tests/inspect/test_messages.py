"""Reading a stream's messages: `/streams/{stream}/messages`."""

from urllib.parse import quote

import orjson
import pytest

from tests.inspect.traffic import little_read


@pytest.fixture(autouse=True)
def orders(define):
    schema = {"properties": {"n": {"type": "integer"}, "paid": {"type": "boolean"}}}
    return define("orders", {"order-placed": schema, "order-lost": None})


@pytest.fixture
def twelve(redis):
    """Twelve foreign entries, 1000-0 to 12000-0: a lost order after every two that were placed."""
    for number in range(1, 13):
        kind = "order-lost" if number % 3 == 0 else "order-placed"
        redis.xadd("orders", {"event_type": kind, "n": number}, id=f"{number * 1000}-0")


def read(ask, **query):
    answer = ask("GET", "/streams/orders/messages?" + "&".join(f"{name}={text}" for name, text in query.items()))
    assert answer.status == 200, answer.body
    return answer.json


def numbers(page):
    return [message["event"]["n"] for message in page["messages"]]


def test_a_message_has_the_raw_strings_and_the_event_that_they_mean(ask, redis):
    event = {"event_type": "order-placed", "n": 7, "paid": True, "items": [{"sku": "a"}], "note": None, "code": "007"}
    entry_id = ask("POST", "/events/orders", orjson.dumps(event)).json["id"]

    (message,) = read(ask)["messages"]

    assert message["id"] == entry_id
    assert message["event"] == event
    assert message["data"]["n"] == "7"
    assert message["data"]["paid"] == "true"
    assert message["data"]["items"] == '[{"sku":"a"}]'
    assert message["data"]["event"] == "order-placed"
    assert all(isinstance(text, str) for text in message["data"].values())
    assert (message["event_type"], message["source"], message["layout"]) == ("order-placed", "anonymous", "flat")
    assert message["timestamp"] == message["data"]["timestamp"]
    assert message["contract_version"] == 1


def test_the_answer_names_the_stream_as_the_original_did(ask, twelve):
    page = read(ask, count=1)

    assert page["stream"] == "orders"
    assert page["messages"][0]["id"] == "12000-0"
    assert page["messages"][0]["data"] == {"event_type": "order-lost", "n": "12"}


def test_ten_messages_come_newest_first_unless_asked_otherwise(ask, twelve):
    assert numbers(read(ask)) == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert numbers(read(ask, count=3, order="oldest")) == [1, 2, 3]


def test_an_empty_parameter_counts_as_none(ask, twelve):
    assert numbers(read(ask, count="", order="", since="", event_type="")) == numbers(read(ask))


def test_unknown_parameters_are_passed_over(ask, twelve):
    assert numbers(read(ask, count=1, _=1712345678)) == [12]


@pytest.mark.parametrize(("order", "cursor"), [("newest", "before"), ("oldest", "after")])
def test_following_next_shows_every_message_once(ask, twelve, order, cursor):
    seen, page = [], read(ask, order=order, count=5)
    while page["next"]:
        seen.append(numbers(page))
        page = read(ask, order=order, count=5, **{cursor: page["next"]})
    seen.append(numbers(page))

    forwards = list(range(1, 13))
    expected = forwards if order == "oldest" else forwards[::-1]
    assert seen == [expected[:5], expected[5:10], expected[10:]]
    assert page["complete"]


def test_the_last_page_has_no_next_even_when_it_is_full(ask, twelve):
    assert read(ask, count=12)["next"] is None
    assert read(ask, count=11)["next"] == "2000-0"


def test_a_range_may_be_given_by_ids_and_by_times(ask, twelve):
    assert numbers(read(ask, since="10000-0")) == [12, 11, 10]
    assert numbers(read(ask, after="1970-01-01T01:00:10+01:00", until="11000")) == [11]
    assert numbers(read(ask, since="9000", until="8000")) == []


def test_only_messages_of_one_event_type_are_shown(ask, twelve):
    page = read(ask, event_type="order-lost", count=3)

    assert numbers(page) == [12, 9, 6]
    # Whether the entries behind are of the type was not looked at.
    assert (page["next"], page["scanned"], page["complete"]) == ("6000-0", 7, True)
    rest = read(ask, event_type="order-lost", count=3, before=page["next"])
    assert numbers(rest) == [3]
    assert (rest["next"], rest["complete"]) == (None, True)


def test_the_type_inside_an_envelope_counts(ask, redis):
    redis.xadd("orders", {"payload": '{"event": "order-lost", "n": 1}'})

    assert numbers(read(ask, event_type="order-lost")) == [1]


def test_a_search_stops_at_its_bound_and_can_be_continued(ask, redis):
    redis.xadd("orders", {"event_type": "order-lost", "n": 0}, id="1-1")
    with redis.pipeline(transaction=False) as pipe:
        for number in range(1, 15_001):
            pipe.xadd("orders", {"event_type": "order-placed", "n": number}, id=f"1-{number + 1}")
        pipe.execute()

    first = read(ask, event_type="order-lost")

    assert first["messages"] == []
    assert (first["scanned"], first["complete"], first["next"]) == (10_000, False, "1-5002")
    second = read(ask, event_type="order-lost", before=first["next"])
    assert numbers(second) == [0]
    assert (second["scanned"], second["complete"], second["next"]) == (5001, True, None)


def test_a_page_of_huge_entries_ends_early_and_says_so(event_loop_client, redis):
    for number in range(1, 121):
        redis.xadd("orders", {"event_type": "order-placed", "n": number, "text": "x" * 170_000}, id=f"{number}-0")

    page = read(event_loop_client, count=1000, order="oldest")

    assert 60 < len(page["messages"]) < 120
    assert not page["complete"]
    rest = read(event_loop_client, count=1000, order="oldest", after=page["next"])
    assert numbers(page) + numbers(rest) == list(range(1, 121))


@pytest.mark.parametrize(("name", "text"), [("count", "abc"), ("order", "up"), ("since", "yesterday")])
def test_a_parameter_that_cannot_be_used_is_named(ask, name, text):
    answer = ask("GET", f"/streams/orders/messages?{name}={text}")

    assert answer.status == 400
    assert answer.json["type"] == "urn:synapse:problem:bad-parameter"
    assert answer.json["parameter"] == name
    assert f"“{name}”" in answer.json["error"]


FOREIGN = {
    "binary": {b"\x00\xff": b"\xfe\xfd\x00", b"n": b"1"},
    "without a type": {"n": "1"},
    "with an empty type": {"event_type": "", "n": "1"},
    "with broken JSON": {"payload": "{oops", "event_type": "x"},
    "with a deep payload": {"payload": "[" * 400 + "]" * 400, "event_type": "order-placed"},
    "deeper than any parser": {"payload": "[" * 5000 + "]" * 5000},
    "with huge numbers": {"n": "9" * 400, "f": "1e999", "event_type": "order-placed"},
    "with lone surrogates": {"payload": '{"a": "\\ud800"}', "t": '{"a": "\\ud800"}'},
    "that looks like ours": {"synapse_version": "x", "synapse_types": "[", "synapse_added": "??", "event_type": "e"},
    "of a strange layout": {"synapse_layout": "spiral", "payload": "5"},
    "with 10,000 fields": {f"field-{number}": str(number) for number in range(10_000)},
}


@pytest.mark.parametrize("fields", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_foreign_entry_never_breaks_the_reading(ask, redis, fields):
    redis.xadd("orders", fields, id="1-1")
    redis.xadd("orders", {"event_type": "order-placed", "n": "2"}, id="2-1")

    page = read(ask, order="oldest")

    assert [message["id"] for message in page["messages"]] == ["1-1", "2-1"]
    assert len(page["messages"][0]["data"]) == len(fields)
    assert page["messages"][1]["event"] == {"event_type": "order-placed", "n": 2}
    assert ask("GET", "/streams/orders/messages/1-1").json == {"stream": "orders", **page["messages"][0]}


def test_foreign_text_is_read_by_the_contract_of_its_type(ask, redis):
    redis.xadd("orders", {"event": "order-placed", "n": "5", "paid": "True"})

    (message,) = read(ask)["messages"]

    assert message["event"] == {"event_type": "order-placed", "n": 5, "paid": True}
    assert (message["layout"], message["contract_version"]) == ("foreign", None)


def test_a_message_is_found_by_its_id(ask, twelve):
    answer = ask("GET", "/streams/orders/messages/5000-0")

    assert answer.status == 200
    assert answer.json == {"stream": "orders", **read(ask, since="5000", until="5000")["messages"][0]}


def test_a_message_that_is_not_there_is_a_404(ask, twelve):
    answer = ask("GET", "/streams/orders/messages/5000-1")

    assert (answer.status, answer.json["type"]) == (404, "urn:synapse:problem:unknown-entry")


def test_an_id_that_is_none_is_a_400(ask, twelve):
    answer = ask("GET", "/streams/orders/messages/5000")

    assert answer.status == 400
    assert answer.json["parameter"] == "id"


def test_the_newest_messages_of_a_long_stream_are_all_that_is_read(ask, redis):
    script = "for i = 1, 100000 do redis.call('XADD', KEYS[1], i .. '-1', 'event_type', 'order-placed', 'n', i) end"
    redis.eval(script, 1, "orders")

    with little_read(redis):
        assert numbers(read(ask, count=2)) == [100_000, 99_999]


def test_the_text_of_other_programs_is_read_by_types_behind_references_and_by_what_the_contract_accepts(
    redis, ask, define
):
    definitions = {"id": {"type": "string"}, "flag": {"type": "boolean"}}
    properties = {"ref": {"$ref": "#/definitions/id"}, "paid": {"$ref": "#/definitions/flag"}}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": definitions,
        "properties": properties,
        "patternProperties": {"^note_": {"$ref": "#/definitions/id"}},
    }
    define("parcels", {"order-placed": schema})
    redis.xadd("parcels", {"event_type": "order-placed", "ref": "42", "paid": "True", "note_1": "7", "n": "7"})

    (message,) = ask("GET", "/streams/parcels/messages").json["messages"]

    assert message["event"] == {"event_type": "order-placed", "ref": "42", "paid": True, "note_1": "7", "n": 7}


def test_a_filter_selects_messages_by_their_properties(ask, twelve):
    page = read(ask, filter=quote('event.n > 3 && event.n % 2 == 0 && event_type == "order-placed"'))

    assert numbers(page) == [10, 8, 4]
    assert (page["scanned"], page["next"], page["complete"]) == (12, None, True)


def test_a_filtered_page_continues_where_it_ended(ask, twelve):
    text = quote("event.n % 2 == 0")
    first = read(ask, filter=text, count=2)
    rest = read(ask, filter=text, count=9, before=first["next"], event_type="order-placed")

    assert (numbers(first), numbers(rest)) == ([12, 10], [8, 4, 2])


def test_a_filter_that_nothing_meets_looks_at_so_many_messages_and_continues_there(ask, redis, monkeypatch):
    monkeypatch.setattr("synapse.inspection.messages.MOST_ENTRIES", 5)
    for number in range(1, 9):
        redis.xadd("orders", {"event_type": "order-placed", "n": number}, id=f"{number}-0")

    first = read(ask, filter=quote("event.n == 1"))
    second = read(ask, filter=quote("event.n == 1"), before=first["next"])

    assert (numbers(first), first["complete"], first["scanned"], first["next"]) == ([], False, 5, "4-0")
    assert (numbers(second), second["complete"], second["scanned"]) == ([1], True, 3)


def test_a_filter_knows_the_names_of_a_row_and_entries_of_other_programs(ask, redis):
    redis.xadd("orders", {b"\xff\xfe": b"\xff", "n": "not a number"}, id="1-0")
    redis.xadd("orders", {"event_type": "order-placed", "n": 7}, id="2-0")

    assert numbers(read(ask, filter=quote('id == "2-0" && stream == "orders" && event.n == 7 && data.n == "7"'))) == [7]
    assert read(ask, filter=quote("event.n < 100"))["scanned"] == 2


def test_a_filter_that_cannot_be_parsed_is_400_with_the_character(ask):
    answer = ask("GET", "/streams/orders/messages?filter=" + quote("event.n = 3"))

    assert (answer.status, answer.json["type"]) == (400, "urn:synapse:problem:bad-filter")
    assert (answer.json["position"], answer.json["parameter"]) == (9, "filter")
    assert "A filter that works: " in answer.json["detail"]
