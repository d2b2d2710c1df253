"""Messages and pulled events as CloudEvents, where the reader asks for them."""

import orjson
import pytest

from bridges.models import Bridge
from streams.models import Stream
from synapse.cloudevents.attributes import BATCH, STRUCTURED
from synapse.schema.pii import MASK
from tests.cloudevents.cast import CAME, TIME, fields_of
from tests.pii.conftest import EVENT, impersonal
from tests.pii.conftest import orders as orders_with_pii
from tests.pii.test_looks import look, operator, seen
from tests.tables import for_each

__all__ = ["impersonal", "operator", "orders_with_pii"]

MESSAGES = "/streams/orders/messages"
ORDER = {"event_type": "order-placed", "n": 1}


@pytest.fixture
def orders(define):
    return define("orders", {"order-placed": None, "order-lost": None})


def get(ask, path, accept=BATCH):
    return ask("GET", path, headers={"accept": accept})


def native(id_, n):
    return {
        "specversion": "1.0",
        "id": f"orders/{id_}",
        "source": "cyrex",
        "type": "order-placed",
        "time": TIME,
        "datacontenttype": "application/json",
        "data": {**ORDER, "n": n},
    }


def test_messages_are_a_batch_of_cloudevents_and_the_next_page_is_a_link(ask, orders, redis):
    for n in range(1, 4):
        redis.xadd("orders", fields_of({**ORDER, "n": n}), id=f"{n}-0")
    redis.xadd("orders", fields_of(ORDER, CAME), id="4-0")

    first = get(ask, f"{MESSAGES}?count=3&order=oldest")
    second = get(ask, MESSAGES + first.headers["link"].removeprefix("<").partition(">")[0])

    assert first.status == 200
    assert first.headers["content-type"] == BATCH
    assert first.headers["link"] == '<?count=3&order=oldest&after=3-0>; rel="next"'
    assert "accept" in first.headers["vary"].lower()
    assert first.json == [native(f"{n}-0", n) for n in (1, 2, 3)]
    assert second.json == [{"specversion": "1.0", "type": "order-placed", **CAME, "data": {"n": 1}}]
    assert "link" not in second.headers


def test_the_link_of_a_page_keeps_its_filter_and_replaces_its_position(ask, orders, redis):
    for n in range(1, 4):
        redis.xadd("orders", fields_of({**ORDER, "n": n}), id=f"{n}-0")

    answer = get(ask, f"{MESSAGES}?count=1&before=3-0&filter=event.n%20%3C%3D%203%20%26%26%20true")

    assert answer.headers["link"] == '<?count=1&filter=event.n+%3C%3D+3+%26%26+true&before=2-0>; rel="next"'
    assert [each["data"]["n"] for each in answer.json] == [2]


@for_each(
    "accept, content_type",
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, */*;q=0.8", "application/json"),
        ("text/html", "application/json"),
        (f"application/json, {BATCH}", "application/json"),
        (f"application/json;q=0.9, {BATCH}", BATCH),
        (f"{STRUCTURED}, */*", BATCH),
        (STRUCTURED, BATCH),
        (f"{BATCH};q=0, */*;q=0.1", "application/json"),
    ],
)
def test_a_page_has_the_form_that_the_reader_prefers(ask, orders, accept, content_type):
    answer = get(ask, MESSAGES, accept)

    assert (answer.status, answer.headers["content-type"]) == (200, content_type)
    assert answer.json == [] if content_type == BATCH else answer.json["messages"] == []


@pytest.mark.parametrize("layout", ["flat", "dual"])
def test_a_single_message_is_a_cloudevent_or_a_batch_of_one(ask, orders, redis, layout):
    redis.xadd("orders", fields_of(ORDER, CAME, layout=layout), id="1-0")
    expected = {"specversion": "1.0", "type": "order-placed", **CAME, "data": {"n": 1}}

    one, batch = get(ask, f"{MESSAGES}/1-0", STRUCTURED), get(ask, f"{MESSAGES}/1-0", BATCH)

    assert (one.headers["content-type"], one.json) == (STRUCTURED, expected)
    assert (batch.headers["content-type"], batch.json) == (BATCH, [expected])
    assert get(ask, f"{MESSAGES}/2-0", STRUCTURED).headers["content-type"] == "application/problem+json"


def test_foreign_entries_are_cloudevents_too(ask, orders, redis):
    redis.xadd("orders", {"n": "1"}, id="1-0")
    redis.xadd("orders", {"event_type": "order-placed", "deep": "[" * 200 + "]" * 200}, id="2-0")
    redis.xadd("orders", {b"event_type": b"\xff\x01", "source": "a b"}, id="3-0")

    third, second, first = get(ask, MESSAGES).json

    assert (first["type"], first["source"], first["data"]) == ("untyped", "/streams/orders", {"n": 1})
    assert second["type"] == "order-placed"
    assert (third["type"], third["source"]) == ("\ufffd\ufffd", "a%20b")


def test_attributes_are_masked_for_readers_without_pii(ask, orders_with_pii, impersonal, redis):
    came = {
        "id": "order of anna@example.org",
        "source": "/people/anna@example.org",
        "dataschema": "https://example.org/anna@example.org",
        "time": TIME,
        "subject": "Anna Ek",
        "tenant": 'say "ANNA EK"',
        "urgent": True,
        "datacontenttype": "application/json",
    }
    redis.xadd("orders", fields_of(EVENT, came), id="1-0")

    (found,) = get(ask, MESSAGES).json
    (shown,) = ask("GET", MESSAGES).json["messages"]
    timeline = ask("GET", f"{MESSAGES}/1-0/timeline").json

    encoded = "%E2%80%A2" * 3
    assert found == {
        "specversion": "1.0",
        "type": "order-placed",
        "id": f"order of {MASK}",
        "source": f"/people/{encoded}",
        "dataschema": f"https://example.org/{encoded}",
        "time": TIME,
        "subject": MASK,
        "tenant": f'say "{MASK}"',
        "urgent": True,
        "datacontenttype": "application/json",
        "data": {"email": MASK, "n": 7, "card": {"holder": MASK, "brand": "visa"}},
    }
    assert shown["source"] == shown["data"]["source"] == timeline["source"] == f"/people/{MASK}"
    assert timeline["cloudevent"] == shown["cloudevent"]
    assert orjson.loads(shown["data"]["synapse_cloudevent"])["subject"] == MASK
    assert "anna" not in orjson.dumps([found, shown, timeline]).decode().lower()


def test_a_persons_reading_is_recorded_in_every_form(operator, orders_with_pii, redis):
    redis.xadd("orders", fields_of(EVENT, CAME), id="1-0")

    for accept in (STRUCTURED, BATCH):
        assert operator.get(MESSAGES, headers={"accept": accept}).status_code == 200
        assert operator.get(f"{MESSAGES}/1-0", headers={"accept": accept}).status_code == 200

    assert seen() == look("stream orders", events=1, ids=["1-0"]) * 4


@pytest.fixture
def group(orders):
    stream = Stream.objects.get(name="orders")
    return Bridge.objects.create(name="warehouse", stream=stream, group="warehouse", sink="pull", lease_seconds=300)


READ = {"stream": "orders", "consumer_group": "warehouse", "consumer_name": "w-1", "count": 10, "block_ms": 0}


def test_a_reader_of_cloudevents_can_acknowledge_give_back_and_extend(ask, group, redis):
    redis.xadd("orders", fields_of(ORDER), id="1-0")
    redis.xadd("orders", fields_of(ORDER, {**CAME, "synapseentryid": "of another Synapse"}), id="2-0")

    answer = ask("POST", "/v1/read", orjson.dumps(READ), headers={"accept": STRUCTURED})

    assert answer.headers["content-type"] == BATCH
    assert answer.json == [
        {**native("1-0", 1), "synapseentryid": "1-0", "synapseattempt": 1},
        {
            **{"specversion": "1.0", "type": "order-placed", **CAME, "data": {"n": 1}},
            **{"synapseentryid": "2-0", "synapseattempt": 1},
        },
    ]
    place = {"stream": "orders", "consumer_group": "warehouse"}
    first, second = (each["synapseentryid"] for each in answer.json)
    assert ask("POST", "/v1/extend", orjson.dumps({**place, "entry_ids": [first]})).json["extended"] == 1
    assert ask("POST", "/v1/ack", orjson.dumps({**place, "entry_ids": [first]})).json == {"acked": 1}
    assert ask("POST", "/v1/nack", orjson.dumps({**place, "entry_ids": [second], "delay_ms": 0})).json["nacked"] == 1
    again = ask("POST", "/v1/read", orjson.dumps(READ), headers={"accept": BATCH}).json
    assert [(each["synapseentryid"], each["synapseattempt"]) for each in again] == [("2-0", 2)]


def test_a_read_without_events_is_an_empty_batch(ask, group):
    answer = ask("POST", "/v1/read", orjson.dumps(READ), headers={"accept": BATCH})

    assert (answer.status, answer.json) == (200, [])
