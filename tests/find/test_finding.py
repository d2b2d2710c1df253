"""An event is found over all streams by the ids that it carries, before and after it is indexed."""

import json

import pytest

from tests.find.conftest import find, found, make_indexer
from tests.tables import for_each

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def send(ask, stream, event, headers=None):
    """Publish an event, or a batch, and return the answer."""
    answer = ask("POST", f"/events/{stream}", json.dumps(event), headers)
    assert answer.status in (200, 201), answer.body
    return answer.json


@pytest.fixture
def orders(define):
    return define("orders", {"order-placed": None, "order-lost": None}, correlation=["request_id", "order_id"])


@pytest.fixture(params=["unindexed", "indexed"])
def settle(request, redis, add):
    """Index what there is, in one of two runs: in the other it is found by reading."""

    def settle():
        if request.param == "indexed":
            for stream in ("orders", "bills"):
                if redis.exists(stream):
                    add(stream, 256, other="x{}")
            make_indexer().step()

    return settle


def test_an_event_is_found_by_each_id_that_it_carries(ask, define, orders, settle):
    define("bills")
    first = send(ask, "orders", {"event_type": "order-placed", "request_id": "r-1", "order_id": 4711})
    traced = send(ask, "bills", {"event_type": "billed", "correlation_id": "r-1"}, {"traceparent": PARENT})
    settle()

    assert found(ask, "r-1") == [
        ("bills", traced["id"], ["correlation_id"]),
        ("orders", first["id"], ["request_id"]),
    ]
    assert found(ask, " 4711 ") == [("orders", first["id"], ["order_id"])]
    assert found(ask, first["id"]) == [("orders", first["id"], ["entry id"])]
    assert found(ask, TRACE.upper()) == found(ask, PARENT) == [("bills", traced["id"], ["trace id"])]


def test_a_cloudevent_is_found_by_its_id(ask, orders, settle):
    kind = {"content-type": "application/cloudevents+json"}
    event = {"specversion": "1.0", "source": "/shop", "type": "order-placed", "subject": "B-8"}
    ids = [send(ask, "orders", event | {"id": id_}, kind)["id"] for id_ in ("A-7", 'é "8"')]
    settle()

    assert found(ask, "A-7") == [("orders", ids[0], ["CloudEvent id"])]
    assert found(ask, 'é "8"') == [("orders", ids[1], ["CloudEvent id"])]
    assert found(ask, "B-8") == found(ask, "/shop") == found(ask, "A") == []


def test_a_property_with_the_name_of_the_field_hides_no_cloudevent(ask, orders, redis):
    named = {"event_type": "order-placed", "note": "synapse_cloudevent"}
    came = {"synapse_cloudevent": '{"id":"A-7","source":"/shop"}', "synapse_version": "0"}
    redis.xadd("orders", named | came, id="1-0")
    redis.xadd("orders", {"synapse_version": "0", "event_type": "order-placed", "note": "synapse_cloudevent"}, id="2-0")

    assert found(ask, "A-7") == [("orders", "1-0", ["CloudEvent id"])]


def test_an_event_is_not_found_by_what_only_looks_alike(ask, define, orders, redis, settle):
    sent = {
        "event_type": "order-placed",
        "request_id": "r-12",
        "note": "r-1",
        "order_id": "4711.0",
        "nested": {"order_id": 9},
    }
    event = send(ask, "orders", sent)
    settle()

    for text in ("r-1", "4711", "9", "R-12", "r-12 x", event["id"].partition("-")[0], "order-placed", "*"):
        assert found(ask, text) == [], text
    assert len(found(ask, "r-12")) == 1


def test_events_of_other_programs_are_found_too(ask, orders, redis, settle):
    flat = redis.xadd("orders", {"event_type": "order-placed", "request_id": "flat"}).decode()
    sent = {"event_type": "order-placed", "order_id": 'ö"5', "request_id": None}
    enveloped = redis.xadd("orders", {"payload": json.dumps(sent), "sender": "shop"}).decode()
    redis.xadd("orders", {b"\xff": b"\xfe", b"request_id": b"\xff\x00"})
    settle()

    assert found(ask, "flat") == [("orders", flat, ["request_id"])]
    assert found(ask, 'ö"5') == [("orders", enveloped, ["order_id"])]


def test_an_event_in_the_layout_dual_is_found(ask, define, settle):
    define("orders", layout="dual", correlation=["order_id"])
    sent = {"event_type": "order-placed", "order_id": "[7]", "payload": {"order_id": "inner"}}
    event = send(ask, "orders", sent)
    settle()

    assert found(ask, "[7]") == [("orders", event["id"], ["order_id"])]
    assert found(ask, "inner") == []


def test_the_newest_events_of_a_frequent_value_are_found_first(ask, orders, add, indexer):
    ids = add("orders", 6_000, request_id="same", order_id="o{}")
    indexer.step()

    events = found(ask, "same", count=100)

    assert [id_ for _, id_, _ in events] == ids[:-101:-1]
    assert found(ask, "same", count=3) == events[:3]
    assert found(ask, "o3") == [("orders", ids[3], ["order_id"])]
    assert find(ask, "same")["complete"]


def test_an_event_is_found_by_its_idempotency_key_while_the_key_is_remembered(ask, orders, redis):
    event = {"event_type": "order-placed"}
    one = send(ask, "orders", event, {"Idempotency-Key": "one"})
    batch = send(ask, "orders", [event, {**event, "n": 2}], {"Idempotency-Key": "two"})
    whole = send(ask, "orders?atomic=true", [event, event], {"Idempotency-Key": "all"})

    assert found(ask, "one") == [("orders", one["id"], ["Idempotency-Key"])]
    assert found(ask, "two/1") == [("orders", batch["results"][1]["id"], ["Idempotency-Key"])]
    assert found(ask, "two") == [("orders", batch["results"][0]["id"], ["Idempotency-Key"])]
    assert [id_ for _, id_, _ in found(ask, "all")] == [each["id"] for each in reversed(whole["results"])]
    for key in redis.keys("syn:{orders}:idem:*"):
        redis.delete(key)
    assert found(ask, "one") == []


def test_a_stream_that_declares_no_property_is_found_by_entry_id_alone(ask, define, add, redis, indexer):
    define("orders", correlation=[])
    (id_,) = add("orders", request_id="r", traceparent=PARENT)
    add("orders", 300)
    indexer.step()

    assert found(ask, "r") == found(ask, TRACE) == []
    assert found(ask, id_) == [("orders", id_, ["entry id"])]
    assert not redis.keys("syn:*:index*")


@for_each("text", ["1-1", "9" * 256, "0-0", "18446744073709551615-18446744073709551615", "ü", "a\nb", '"'])
def test_a_text_that_nothing_carries_finds_nothing(ask, orders, add, text):
    add("orders", request_id="r")

    assert find(ask, text) == {"events": [], "complete": True, "unsearched": []}


@pytest.mark.parametrize("query", ["", "?q=", f"?q={'x' * 257}", "?q=x&count=0", "?q=x&count=101", "?q=x&q=y", "?p=x"])
def test_a_search_that_cannot_be_meant_is_refused(ask, query):
    assert ask("GET", f"/events/find{query}").status == 400


def test_a_key_of_another_kind_under_a_streams_name_does_not_end_the_search(ask, define, orders, add, redis):
    define("bills")
    redis.delete("bills")
    redis.set("bills", "foreign")
    (id_,) = add("orders", request_id="r")

    assert found(ask, "r") == [("orders", id_, ["request_id"])]
