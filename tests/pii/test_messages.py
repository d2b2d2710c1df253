"""PII in messages is shown only to callers with the right, on the fast path, in Django and in the live tail."""

import json
from typing import Any

import httpx
import pytest

from streams.snapshot import holder
from tests.callers import callers_with
from tests.definitions import contract, define
from tests.live.server import running_server, watching
from tests.pii.conftest import CONTRACT, EVENT, HIDDEN, MASK, Impersonal

MESSAGES = "/streams/orders/messages"


def publish(ask, event: Any = EVENT) -> Any:
    return ask("POST", "/events/orders", json.dumps(event)).json["id"]


def test_a_caller_that_may_see_pii_sees_messages_unmasked(ask, orders):
    publish(ask)

    (message,) = ask("GET", MESSAGES).json["messages"]

    assert message["event"] == EVENT
    assert message["data"]["email"] == "anna@example.org"


@pytest.mark.parametrize("layout", ["flat", "dual"])
def test_others_see_the_mask_in_the_event_and_in_its_fields(ask, orders, impersonal, layout):
    define("orders", layout=layout)
    publish(ask)

    answer = ask("GET", MESSAGES)

    (message,) = answer.json["messages"]
    assert message["event"] == HIDDEN
    assert message["data"]["email"] == MASK
    assert json.loads(message["data"]["card"]) == HIDDEN["card"]
    assert message["data"]["n"] == "7"
    assert message["event_type"] == "order-placed"
    assert b"anna" not in answer.body.lower()


def test_a_single_message_is_masked(client, redis, orders, impersonal):
    id_ = client.post("/events/orders", json.dumps(EVENT), content_type="application/json").json()["id"]

    answer = client.get(f"{MESSAGES}/{id_}")

    assert answer.json()["event"] == HIDDEN
    assert b"anna" not in answer.content.lower()


@pytest.mark.parametrize(
    "fields",
    [
        {"event_type": "order-placed", "email": "anna@example.org", "card": '{"holder":"Anna Ek"}'},
        {"event_type": "order-placed", "email": "anna@example.org", "card": "{'holder': 'Anna Ek'}"},
        {"payload": json.dumps({**EVENT, "event": "order-placed"}), "sender": "shop"},
        {"event": "order-placed", "payload": json.dumps(EVENT)},
    ],
)
def test_entries_written_by_other_programs_are_masked(ask, redis, orders, impersonal, fields):
    redis.xadd("orders", fields)

    answer = ask("GET", MESSAGES)

    assert answer.status == 200
    assert answer.json["messages"][0]["event"]["email"] == MASK
    assert b"anna" not in answer.body.lower()


def test_a_source_and_a_time_that_are_pii_are_not_shown_beside_the_event(ask, redis, impersonal):
    personal = {"x-pii": True}
    define("visits", {"visit": {"properties": {"source": personal, "timestamp": personal}}}, layout="dual")
    event = {"event_type": "visit", "source": "anna", "timestamp": "2026-01-02T03:04:05Z"}
    ask("POST", "/events/visits", json.dumps(event))

    answer = ask("GET", "/streams/visits/messages")

    (message,) = answer.json["messages"]
    assert (message["source"], message["timestamp"]) == (MASK, None)
    assert b"anna" not in answer.body
    assert b"2026-01-02" not in answer.body


@pytest.mark.parametrize("layout", ["flat", "dual"])
@pytest.mark.parametrize("value", ["1", "42", "order", "etspdr", "anonymous", "normal"])
def test_events_that_differ_in_pii_alone_are_shown_alike(ask, orders, impersonal, layout, value):
    define("orders", layout=layout)
    publish(ask, {**EVENT, "email": value, "code": "7"})
    publish(ask, {**EVENT, "email": "somebody", "code": "7"})

    one, other = ask("GET", MESSAGES).json["messages"]

    for message in (one, other):
        assert message.pop("timestamp") == message["data"].pop("timestamp")
        assert MASK not in message.pop("id")
    assert one == other
    assert one["data"]["synapse_types"] == '{"code":"s"}'


@pytest.mark.parametrize("value", ["0", "3", "order", "normal"])
def test_the_envelopes_of_other_programs_that_differ_in_pii_alone_are_shown_alike(
    ask, redis, orders, impersonal, value
):
    for email in (value, "somebody"):
        envelope = {"event": "order-placed", "priority": "normal", "retry_count": "0", "max_retries": "3"}
        redis.xadd("orders", {**envelope, "payload": json.dumps({**EVENT, "email": email})})

    one, other = ask("GET", MESSAGES).json["messages"]

    assert one["data"] == other["data"]


def test_a_sender_that_repeats_a_source_is_masked_with_it(ask, orders, impersonal):
    define("visits", {"visit": {"properties": {"source": {"x-pii": True}}}}, layout="dual")
    ask("POST", "/events/visits", json.dumps({"event_type": "visit", "source": "anna"}))

    (message,) = ask("GET", "/streams/visits/messages").json["messages"]

    assert message["data"]["sender"] == message["data"]["source"] == message["source"] == MASK


def test_events_without_a_contract_stay_as_they_are(ask, orders, impersonal):
    publish(ask, {"event_type": "order-lost", "email": "anna@example.org"})

    (message,) = ask("GET", MESSAGES).json["messages"]

    assert message["event"]["email"] == message["data"]["email"] == "anna@example.org"


def test_a_field_that_is_marked_later_hides_what_came_before(ask, redis, impersonal, any_schema_may_follow):
    define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}}})
    publish(ask)
    contract("orders.order-placed", CONTRACT)

    (message,) = ask("GET", MESSAGES).json["messages"]

    assert message["event"] == HIDDEN


def test_an_event_is_masked_by_the_version_that_it_was_checked_against_too(
    ask, orders, impersonal, any_schema_may_follow
):
    publish(ask)
    contract("orders.order-placed", {"properties": {"n": {"x-pii": True}}})

    (message,) = ask("GET", MESSAGES).json["messages"]

    assert message["event"] == {**HIDDEN, "n": MASK}


def test_the_publisher_is_told_what_is_wrong_with_what_it_sent(ask, orders, impersonal):
    answer = ask("POST", "/events/orders", json.dumps({**EVENT, "email": 12345}))

    assert answer.status == 422
    assert "12345" in answer.json["violations"][0]["message"]


@pytest.mark.parametrize("since", [None, "0"])
def test_the_live_tail_is_masked(redis, orders, impersonal, since):
    holder.refresh()
    with running_server() as server:
        if since:
            httpx.post(f"{server.url}/events/orders", json=EVENT)
        with watching(server.live(), **({"since": since} if since else {})) as watch:
            if not since:
                httpx.post(f"{server.url}/events/orders", json=EVENT)
            found = watch.next()

    assert found.data["event"] == HIDDEN
    assert found.data["data"]["email"] == MASK


def test_two_watchers_each_see_only_the_events_they_may(redis, orders):
    holder.refresh()
    with (
        running_server() as server,
        watching(server.live()) as all_of_it,
        callers_with(Impersonal()),
        watching(server.live()) as some,
    ):
        httpx.post(f"{server.url}/events/orders", json=EVENT)
        seen = all_of_it.next().data["event"], some.next().data["event"]

    assert seen == (EVENT, HIDDEN)


@pytest.mark.parametrize("path", ["/streams", "/streams/orders", "/streams/orders/info", "/metrics?format=json"])
def test_statistics_show_the_first_and_the_last_entry_masked_to_everybody(client, redis, orders, path):
    client.post("/events/orders", json.dumps(EVENT), content_type="application/json")

    answer = client.get(path, headers={"accept": "application/json"})

    assert answer.status_code == 200
    assert MASK in answer.content.decode()
    assert b"anna" not in answer.content.lower()
