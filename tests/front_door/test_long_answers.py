"""A long answer is sent in the parts that it was written in: joining them would block the event loop."""

import orjson
import pytest

from bridges.models import Bridge
from streams.models import Stream
from synapse.http import exchange
from synapse.http.exchange import MOST_JOINED, listing_response
from tests.tables import for_each

LARGE = b'"' + b"x" * (MOST_JOINED // 4) + b'"'


@for_each("items", [[], [b"1"], [b"1", b"2,3"], [b'"\xe2\x82\xac"']])
def test_a_short_list_is_one_body(items):
    answer = listing_response({"before": 1, "list": None, "after": "\0"}, "list", items)

    assert answer.rest == ()
    assert orjson.loads(answer.body) == {"before": 1, "list": orjson.loads(b"[%b]" % b",".join(items)), "after": "\0"}


def test_a_long_list_is_never_copied():
    items = [LARGE[:-2] + b'%d"' % number for number in range(8)]

    answer = listing_response({"list": None, "count": 8}, "list", items, status=207)

    assert [part for part in answer.rest if len(part) > 100] == items
    assert all(any(part is item for part in answer.rest) for item in items)
    assert len(answer.body) < 100
    assert orjson.loads(answer.whole_body) == {"list": [orjson.loads(item) for item in items], "count": 8}
    assert answer.status == 207


@pytest.mark.parametrize("path", ["/streams/orders/messages?count=50", "/streams/orders/messages?count=200"])
def test_a_page_of_large_messages_that_is_sent_in_parts_is_complete(ask, redis, define, path):
    define("orders")
    for number in range(1, 41):
        redis.xadd("orders", {"event_type": "order-placed", "text": "x" * 60_000}, id=f"{number}-0")

    answer = ask("GET", path)

    assert answer.status == 200
    assert int(answer.headers.get("content-length", len(answer.body))) == len(answer.body) > MOST_JOINED
    assert [message["id"] for message in answer.json["messages"]] == [f"{number}-0" for number in range(40, 0, -1)]
    assert answer.json["complete"] is True


def test_an_answer_in_parts_is_sent_whole_by_a_route_without_a_fast_path(ask, redis, define):
    define("orders")
    Bridge.objects.create(stream=Stream.objects.get(name="orders"), name="g", group="g", sink="pull", lease_seconds=300)
    question = {"stream": "orders", "consumer_group": "g", "consumer_name": "c", "count": 20, "block_ms": 0}
    body = orjson.dumps(question)
    ask("POST", "/v1/read", body)
    ids = [redis.xadd("orders", {"event_type": "order-placed", "text": "x" * 60_000}).decode() for _ in range(20)]

    answer = ask("POST", "/v1/read", body)

    assert answer.status == 200, answer.body
    assert [event["entry_id"] for event in answer.json["events"]] == ids
    assert len(answer.body) > MOST_JOINED


def test_a_long_answer_about_a_refused_batch_lists_each_event(ask, redis, define, monkeypatch):
    monkeypatch.setattr(exchange, "MOST_JOINED", 1000)
    define("orders", {f"type-{number:02}": None for number in range(30)}, unknown_event_types="reject")

    answer = ask("POST", "/events/orders", orjson.dumps([{}] * 300 + [{"event_type": "other"}]))

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["type"].endswith("batch-refused")
    assert (answer.json["rejected"], answer.json["accepted"]) == (301, 0)
    assert [result["index"] for result in answer.json["results"]] == list(range(301))
    (told,) = answer.json["results"][300]["errors"]
    assert "“type-19” and 10 more." in told["message"]
    assert "type-20" not in told["message"]
