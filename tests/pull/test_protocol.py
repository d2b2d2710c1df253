"""Publish, read and ack, with the members that clients of the sidecar send and expect."""

import pytest

from tests.pull.cast import GROUP, STREAM

ENVELOPE = {
    "stream": STREAM,
    "event_type": "order-placed",
    "sender": "shop",
    "recipient": "warehouse",
    "priority": "high",
    "payload": {"n": 7, "user_id": "u1", "nested": {"deep": [1, 2.5]}},
    "ttl_sec": 60,
}


@pytest.fixture(autouse=True)
def pulled(group):
    """The group is there."""
    group()


def fields(redis):
    ((_, found),) = redis.xrange(STREAM)
    return {name.decode(): text.decode() for name, text in found.items()}


def test_a_published_event_is_read_with_the_expected_fields_and_acknowledged(puller):
    worker = puller()
    entry_id = worker.post("publish", **ENVELOPE).json["entry_id"]

    (event,) = worker.read()

    assert (event["stream"], event["entry_id"], event["attempt"]) == (STREAM, entry_id, 1)
    assert event["fields"]["event_type"] == "order-placed"
    assert event["fields"]["sender"] == "shop"
    assert event["fields"]["recipient"] == "warehouse"
    assert event["fields"]["priority"] == "high"
    assert event["fields"]["ttl_sec"] == "60"
    assert event["fields"]["payload"] == {**ENVELOPE["payload"], "event_type": "order-placed", "source": "shop"}
    assert event["event"] == event["fields"]["payload"]
    assert event["fields"]["timestamp"].endswith("Z")
    assert worker.ack(entry_id) == 1
    assert worker.read() == []


def test_the_envelope_is_stored_beside_the_event_and_is_no_part_of_it(puller, redis, ask):
    puller().post("publish", **ENVELOPE)

    found = fields(redis)
    assert found["n"] == "7"
    assert found["source"] == found["sender"] == "shop"
    assert found["synapse_added"] == "etdnrl"
    (message,) = ask("GET", f"/streams/{STREAM}/messages").json["messages"]
    assert message["event"] == {**ENVELOPE["payload"], "event_type": "order-placed", "source": "shop"}


def test_the_contract_is_enforced(puller, redis):
    answer = puller().post("publish", event_type="order-placed", payload={"x": 1})

    assert answer.status == 422
    assert "“n”" in answer.json["error"]
    assert answer.json["violations"]
    assert redis.xlen(STREAM) == 0


@pytest.mark.parametrize("payload", ["hello", 45, 2.5, True, None, [1, {"a": 2}]])
def test_a_payload_that_is_no_object_is_the_events_payload(puller, payload):
    worker = puller()

    answer = worker.post("publish", event_type="order-lost", payload=payload)

    assert answer.status == 200
    assert worker.read()[0]["event"] == {"event_type": "order-lost", "payload": payload}


def test_a_source_in_the_payload_is_kept_beside_the_sender(puller):
    worker = puller()
    worker.post("publish", **{**ENVELOPE, "payload": {"n": 1, "source": "till 4"}})

    (event,) = worker.read()

    assert event["event"]["source"] == "till 4"
    assert event["fields"]["sender"] == "shop"


def test_other_programs_entries_are_read_with_their_payload_as_an_object(puller, redis):
    redis.xadd(
        STREAM,
        {
            "event_type": "order-placed",
            "sender": "real-time-gateway",
            "priority": "normal",
            "payload": '{"n": 12345678901234567890123, "user": {"id": "u"}}',
            "timestamp": "2025-01-01T00:00:00.000000001Z",
        },
    )

    (event,) = puller().read()

    assert event["fields"]["sender"] == "real-time-gateway"
    assert event["fields"]["payload"]["user"] == {"id": "u"}
    assert event["fields"]["timestamp"] == "2025-01-01T00:00:00.000000001Z"


def test_flat_entries_of_other_programs_look_like_envelopes_too(puller, redis):
    redis.xadd(STREAM, {"event": "task-created", "user_id": "u1", "data": '{"a":1}', b"odd\xff": b"\x80"})

    (event,) = puller().read()

    assert event["fields"]["event_type"] == "task-created"
    assert event["fields"]["payload"]["user_id"] == "u1"
    assert event["fields"]["priority"] == "normal"
    assert event["fields"]["odd�"] == "�"


def test_an_entry_nested_beyond_json_is_read_as_text(puller, redis):
    redis.xadd(STREAM, {"event_type": "x", "payload": '{"a":' + "[" * 900 + "]" * 900 + "}", "list": "[" * 900})

    (event,) = puller().read()

    assert event["fields"]["event_type"] == "x"


def test_a_read_returns_at_most_count_events(puller):
    worker = puller()
    ids = [worker.publish(n) for n in range(12)]

    assert worker.ids(count=3) == ids[:3]
    assert worker.ids() == ids[3:]
    assert worker.ids() == []


def test_two_consumers_share_the_events_and_another_group_gets_them_all(puller, group):
    group("second")
    first, second, other = puller("a"), puller("b"), puller("a", group="second")
    ids = [first.publish(n) for n in range(4)]

    assert first.ids(count=2) == ids[:2]
    assert second.ids() == ids[2:]
    assert other.ids() == ids


def test_acknowledging_twice_or_an_event_not_in_flight_counts_nothing(puller):
    worker = puller()
    id_ = worker.publish(1)
    worker.read()

    assert worker.ack(id_, id_, "1-1") == 1
    assert worker.ack(id_) == 0


def test_acknowledging_for_a_group_that_does_not_exist_counts_nothing(puller):
    assert puller(group="nobody").ack("1-1") == 0


def test_a_read_without_unread_events_returns_an_empty_list(puller):
    assert puller().post("read", consumer_group=GROUP, consumer_name="x", block_ms=0).json == {"events": []}


def test_a_get_request_is_answered_405(ask):
    for verb in ("publish", "read", "ack", "nack", "extend"):
        answer = ask("GET", f"/v1/{verb}")
        assert (answer.status, "error" in answer.json) == (405, True)
