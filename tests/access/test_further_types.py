"""A key for one event type publishes no event that a consumer could take for one of another type."""

import orjson
import pytest

from tests.access.conftest import bearer
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("orders", "required")
PLACED, SECRET = "order-placed", "order-secret"


@pytest.fixture
def orders(define):
    define("orders", {PLACED: None, SECRET: None})
    define("orders-dual", {PLACED: None, SECRET: None}, layout="dual")


@pytest.fixture
def key(key_of):
    return bearer(key_of("shop", publishes=[f"orders*/{PLACED}"]))


@pytest.fixture
def key_of_both(key_of):
    return bearer(key_of("depot", publishes=[f"orders/{PLACED}", f"orders/{SECRET}"]))


# What another program may take for the type of an event, and where the event says it.
NAMES_ANOTHER = [
    ({"event": SECRET}, "/event"),
    ({"event": f" {SECRET}\n"}, "/event"),
    ({"event": 5}, "/event"),
    ({"event": True}, "/event"),
    ({"payload": {"event_type": SECRET}}, "/payload/event_type"),
    ({"payload": {"event": SECRET}}, "/payload/event"),
    ({"payload": f'{{"event": "{SECRET}"}}'}, "/payload/event"),
]
# What looks alike, and names no other type.
NAMES_NO_OTHER = [
    {"event": PLACED},
    {"event": "The order was placed."},
    {"event": {"name": SECRET}},
    {"event": None},
    {"type": SECRET},
    {"payload": SECRET},
    {"payload": {"event_type": PLACED, "event": PLACED}},
    {"payload": {"order": {"event_type": SECRET}}},
    {"payload": f'["{SECRET}"]'},
    {"payload": "{not JSON"},
    {"data": {"event_type": SECRET}},
]


@for_each("stream", ["orders", "orders-dual"])
@for_each("named, pointer", NAMES_ANOTHER)
def test_an_event_that_names_a_type_without_a_grant_is_refused(ask, redis, key, stream, named, pointer):
    answer = ask("POST", f"/events/{stream}", orjson.dumps({"event_type": PLACED, **named}), key)

    assert (answer.status, answer.json["type"]) == (403, "urn:synapse:problem:forbidden")
    assert (answer.json["missing"], answer.json["pointer"]) == (f"publish:{stream}", pointer)
    assert redis.xlen(stream) == 0


def test_the_refusal_names_the_type_that_has_no_grant(ask, key):
    answer = ask("POST", "/events/orders", orjson.dumps({"event_type": PLACED, "event": SECRET}), key)

    assert answer.json["detail"] == (
        "service:shop may not publish “order-secret” events to orders. The event is “order-placed”, but names this"
        " type in “/event”, which some consumers read."
    )


@for_each("named", NAMES_NO_OTHER)
def test_an_event_that_names_no_other_type_is_stored(ask, key, named):
    assert ask("POST", "/events/orders", orjson.dumps({"event_type": PLACED, **named}), key).status == 201


def test_a_publisher_with_both_grants_stores_both_names_as_they_were_sent(ask, redis, key_of_both):
    event = {"event_type": PLACED, "event": SECRET, "payload": {"event_type": SECRET}}

    answer = ask("POST", "/events/orders", orjson.dumps(event), key_of_both)

    assert (answer.status, answer.json["event_type"]) == (201, PLACED)
    ((_, fields),) = redis.xrange("orders")
    assert (fields[b"event_type"], fields[b"event"]) == (PLACED.encode(), SECRET.encode())
    assert orjson.loads(fields[b"payload"]) == {"event_type": SECRET}


def test_the_right_to_the_second_name_alone_is_not_enough(ask, key_of):
    key = bearer(key_of("depot", publishes=[f"orders/{SECRET}"]))

    assert ask("POST", "/events/orders", orjson.dumps({"event_type": PLACED, "event": SECRET}), key).status == 403


def test_each_event_of_a_batch_is_accepted_or_refused_separately(ask, redis, key):
    events = [{"event_type": PLACED}, {"event_type": PLACED, "event": SECRET}, {"event_type": PLACED}]

    answer = ask("POST", "/events/orders", orjson.dumps(events), key)
    lines = ask(
        "POST",
        "/events/orders",
        b"\n".join(map(orjson.dumps, events)),
        {**key, "content-type": "application/x-ndjson"},
    )

    for batch in (answer, lines):
        assert [result["status"] for result in batch.json["results"]] == ["accepted", "rejected", "accepted"]
    assert redis.xlen("orders") == 4


def test_a_validation_requires_the_rights_of_a_publish(ask, key):
    body = orjson.dumps({"event_type": PLACED, "event": SECRET})

    assert ask("POST", "/events/orders/validate", body, key).status == 403


@pytest.mark.parametrize("payload", [{"event": SECRET}, {"payload": {"event": SECRET}}, f'{{"event": "{SECRET}"}}'])
def test_a_publish_with_the_pull_protocol_requires_the_same_rights(ask, key, payload):
    body = orjson.dumps({"stream": "orders", "event_type": PLACED, "payload": payload})

    assert ask("POST", "/v1/publish", body, key).status == 403


def test_the_pull_protocol_stores_the_type_that_was_checked(ask, redis, key):
    body = orjson.dumps({"stream": "orders", "event_type": PLACED, "payload": {"event_type": SECRET, "n": 1}})

    assert ask("POST", "/v1/publish", body, key).status == 200
    ((_, fields),) = redis.xrange("orders")
    assert (fields[b"event_type"], fields[b"event"]) == (PLACED.encode(), PLACED.encode())
