"""Listing the streams and looking at one: `/streams`, `/streams/{stream}`, `/streams/{stream}/info`."""

import pytest

from streams import background_tasks
from synapse.catalog.stream_definitions import StreamDefinition
from synapse.inspection import streams

INFO_KEYS = (
    *("length", "radix-tree-keys", "radix-tree-nodes", "last-generated-id", "max-deleted-entry-id", "entries-added"),
    *("recorded-first-entry-id", "groups", "first-entry", "last-entry"),
)


@pytest.fixture(autouse=True)
def orders(define):
    return define("orders", {"order-placed": {"required": ["n"]}, "order-lost": None}, purpose="What was ordered")


def publish(ask, number):
    return ask("POST", "/events/orders", f'{{"event_type": "order-placed", "n": {number}}}').json["id"]


def test_the_list_has_every_stream_with_its_statistics_and_its_definition(ask, define):
    define("parcels")
    first, last = publish(ask, 1), publish(ask, 2)

    answer = ask("GET", "/streams")

    assert answer.status == 200
    orders, parcels = answer.json["streams"]
    assert (orders["name"], orders["length"], orders["groups"]) == ("orders", 2, 0)
    assert [orders["first_entry"][0], orders["last_entry"][0]] == [first, last]
    assert orders["last_entry"][1]["n"] == "2"
    assert (orders["purpose"], orders["layout"], orders["enforcement"]) == ("What was ordered", "flat", "enforce")
    nobody = {"owner": "", "runbook": "", "labels": {}}
    assert orders["event_types"] == [
        {"name": "order-lost", **nobody, "contract": None, "contract_version": None},
        {"name": "order-placed", **nobody, "contract": "orders.order-placed", "contract_version": 1},
    ]
    assert (parcels["length"], parcels["first_entry"], parcels["last_entry"]) == (0, None, None)


def test_the_list_takes_one_round_trip_for_any_number_of_streams(ask, define, redis, monkeypatch):
    for number in range(20):
        define(f"stream-{number}")
    before = redis.info("commandstats").get("cmdstat_xinfo|stream", {"calls": 0})["calls"]

    assert len(ask("GET", "/streams").json["streams"]) == 21

    assert redis.info("commandstats")["cmdstat_xinfo|stream"]["calls"] - before == 21


def test_a_single_stream_is_shown_as_in_the_list(ask):
    publish(ask, 1)

    assert ask("GET", "/streams/orders").json == ask("GET", "/streams").json["streams"][0]


def test_the_counters_of_publishes_are_shown_with_the_stream(ask):
    publish(ask, 1)
    ask("POST", "/events/orders", '{"event_type": "order-placed"}')
    background_tasks.flush_counters()

    assert ask("GET", "/streams/orders").json["counters"] == {
        "published": 1,
        "refused": 1,
        "warned": 0,
        "unregistered": 0,
        "duplicates": 0,
    }


def test_info_has_the_names_of_redis_and_what_synapse_knows(ask, redis):
    entry_id = publish(ask, 1)

    info = ask("GET", "/streams/orders/info").json

    assert set(INFO_KEYS) < set(info)
    assert (info["length"], info["last-generated-id"], info["groups"]) == (1, entry_id, 0)
    assert info["first-entry"] == info["last-entry"]
    assert info["first-entry"][1]["n"] == "1"
    assert info["synapse"]["name"] == "orders"
    assert info["synapse"]["purpose"] == "What was ordered"


def test_a_stream_that_redis_does_not_hold_yet_is_shown_as_an_empty_one(ask, redis):
    info = ask("GET", "/streams/orders/info")

    assert info.status == 200
    assert [info.json[key] for key in INFO_KEYS] == [0, 0, 0, "0-0", "0-0", 0, "0-0", 0, None, None]
    assert not redis.exists("orders")


@pytest.mark.parametrize("path", ["", "/info", "/messages", "/messages/1-1", "/groups"])
def test_a_stream_that_is_not_defined_is_not_there_even_if_redis_has_one(ask, redis, path):
    redis.xadd("nowhere", {"secret": "1"})

    answer = ask("GET", f"/streams/nowhere{path}")

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"] == "urn:synapse:problem:unknown-stream"
    assert "nowhere" in answer.json["error"]


@pytest.mark.parametrize("path", ["", "/info", "/messages", "/messages/1-1", "/groups"])
def test_a_key_that_holds_something_else_is_a_conflict_on_its_own_routes(ask, redis, path):
    redis.set("orders", "not a stream")

    answer = ask("GET", f"/streams/orders{path}")

    assert answer.status == 409
    assert answer.json["type"] == "urn:synapse:problem:not-a-stream"
    assert "orders" in answer.json["error"]


def test_a_key_that_holds_something_else_does_not_hide_the_other_streams(ask, define, redis):
    define("parcels")
    redis.set("orders", "not a stream")
    redis.xadd("parcels", {"event": "parcel-sent"})

    orders, parcels = ask("GET", "/streams").json["streams"]

    assert "does not hold a stream" in orders["error"]
    assert (orders["length"], orders["last_entry"]) == (0, None)
    assert parcels["length"] == 1
    assert "error" not in parcels


def test_bytes_that_are_no_text_are_shown_as_far_as_they_are(ask, redis):
    redis.xadd("orders", {b"\xff\xfe": b"caf\xc3\xa9 \xff"})

    assert ask("GET", "/streams").json["streams"][0]["last_entry"][1] == {"��": "café �"}


@pytest.mark.parametrize(
    "path", ["/streams", "/streams/orders", "/streams/orders/info", "/streams/orders/messages", "/metrics"]
)
def test_without_redis_there_is_a_503_that_says_when_to_come_back(ask, own_valkey, path):
    own_valkey.kill()

    answer = ask("GET", path)

    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json["type"] == "urn:synapse:problem:redis-down"


def test_redis_is_used_again_as_soon_as_it_is_back(ask, own_valkey):
    own_valkey.kill()
    assert ask("GET", "/streams").status == 503

    own_valkey.start()

    from tests.patience import eventually

    assert eventually(lambda: ask("GET", "/streams").status == 200)


def test_a_head_request_is_answered_without_a_body(ask):
    answer = ask("HEAD", "/streams")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "application/json"


def test_a_deleted_stream_leaves_nothing_of_its_definition():
    stream = StreamDefinition(name="gone")
    assert streams.definition_as_dict(stream) is streams.definition_as_dict(stream)

    del stream

    assert "gone" not in streams._rendered
