"""Refused events are told by reason, rule, event type and publisher, with a sample that is safe to keep."""

import json

import pytest

from streams import connections
from synapse.publishing import refusals
from synapse.redis import ReplyError, keyspace
from synapse.redis.commands.refusals import MOST_KINDS

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}, "note": {"type": "string"}}, "required": ["n"]}
MARKED = {
    "type": "object",
    "properties": {
        "email": {"type": "string", "x-pii": True},
        "n": {"type": "integer"},
        "note": {"type": "string"},
        "inner": {"type": "object"},
    },
}
SECRET = "ada@example.com"


@pytest.fixture
def ask(event_loop_client):
    """One way in is enough: both answer with the same conversation."""
    return event_loop_client


@pytest.fixture
def orders(define):
    return define("orders", {"order-placed": NUMBER, "order-lost": None}, unknown_event_types="reject")


def send(ask, event, headers=None, *, kind="application/json", query=""):
    text = event if isinstance(event, str) else json.dumps(event)
    return ask("POST", f"/events/orders{query}", text, {"content-type": kind, **(headers or {})}).status


def told(ask, headers=None):
    """Return the refusals of the stream, after this process has noted its own."""
    connections.executor().run(connections.counters.refusals.flush())
    answer = ask("GET", "/streams/orders/refusals", headers=headers)
    assert answer.status == 200, answer.body
    return answer.json["refusals"]


def authorised(key):
    return {"authorization": f"Bearer {key}"}


def test_events_that_break_a_contract_are_told_by_rule(ask, orders):
    for event in ({"n": "a"}, {"n": "b", "note": 1}, {"n": 1, "note": 2}, {"n": 1}):
        send(ask, {"event_type": "order-placed", **event})

    rows = {row["rule"]: row for row in told(ask)}

    assert {rule: row["count"] for rule, row in rows.items()} == {
        "/properties/n/type": 2,
        "/properties/note/type": 2,
    }
    row = rows["/properties/n/type"]
    assert (row["reason"], row["keyword"], row["publisher"]) == ("contract-violated", "type", "anonymous")
    assert (row["contract"], row["contract_version"]) == ("orders.order-placed", 1)
    assert row["event_type"] == "order-placed"
    assert row["sample"] == {"event_type": "order-placed", "n": "a"}
    assert row["first_seen"] <= row["last_seen"]


def test_each_reason_is_told_with_what_is_known_of_it(ask, orders, redis):
    sent = [
        send(ask, "{"),
        send(ask, "[1]", kind="text/plain"),
        send(ask, {"event_type": "order-shipped", "n": 1}),
        send(ask, {"n": 1}),
        send(ask, json.dumps({"event_type": "order-lost", "text": "x" * 300_000})),
        send(ask, {"event_type": "order-lost"}, {"Synapse-Contract-Version": "7"}),
    ]

    rows = {row["reason"]: row for row in told(ask)}

    assert sent == [400, 415, 422, 422, 413, 422]
    assert rows.keys() == {
        *("bad-event", "unsupported-media-type", "unknown-event-type", "bad-event-type", "too-large"),
        "unknown-contract-version",
    }
    assert rows["bad-event"]["sample"] is None
    assert rows["bad-event"]["size"] == 1
    assert rows["too-large"]["detail"].startswith("The event is 300")
    assert rows["unknown-event-type"]["unknown_type"] == "order-shipped"
    assert rows["unknown-event-type"]["event_type"] is None
    assert rows["unknown-contract-version"]["event_type"] == "order-lost"


def test_a_cloudevent_is_told_with_the_attributes_that_are_wrong_and_none_of_its_contents(ask, orders):
    event = {"specversion": "0.3", "source": SECRET, "time": SECRET, "type": "order-lost", SECRET: 1, "data": SECRET}

    assert send(ask, event, kind="application/cloudevents+json") == 400

    (row,) = told(ask)
    places = "/specversion, /id, /time, an extension, /data"
    assert (row["reason"], row["detail"]) == ("bad-cloudevent", f"Wrong in the CloudEvent: {places}.")
    assert SECRET not in json.dumps(row)


def test_a_cloudevent_that_breaks_its_contract_is_told_as_any_event(ask, orders):
    event = {"specversion": "1.0", "id": "A-7", "source": "/shop", "type": "order-placed", "data": {"n": "a"}}

    assert send(ask, event, kind="application/cloudevents+json") == 422
    assert send(ask, [event], kind="application/cloudevents-batch+json") == 422

    (row,) = told(ask)
    assert (row["count"], row["rule"]) == (2, "/properties/n/type")
    assert row["sample"] == {"event_type": "order-placed", "n": "a"}


def test_the_events_of_a_batch_are_told_one_by_one(ask, orders):
    batch = [{"event_type": "order-placed", "n": each} for each in (1, "x", "y")] + [7]

    assert send(ask, batch) == 207

    rows = {row["reason"]: row for row in told(ask)}
    assert (rows["contract-violated"]["count"], rows["bad-event"]["count"]) == (2, 1)
    assert rows["contract-violated"]["sample"] == {"event_type": "order-placed", "n": "x"}


def test_a_batch_that_is_refused_whole_is_told(ask, orders):
    assert send(ask, [{"event_type": "order-placed", "n": "x"}] * 3, query="?atomic=true") == 422
    assert send(ask, "[") == 400

    assert {row["reason"]: row["count"] for row in told(ask)} == {"contract-violated": 3, "bad-event": 1}


def test_validating_and_publishing_good_events_tell_nothing(ask, orders):
    ask("POST", "/events/orders/validate", json.dumps({"event_type": "order-placed", "n": "x"}))
    send(ask, {"event_type": "order-placed", "n": 1})

    assert told(ask) == []


def test_a_publisher_without_the_right_is_told_by_its_service_and_key(ask, orders, key_of, settings):
    settings.AUTH = "required"
    reader = authorised(key_of("reader", subscribes=["orders"]))
    lost = authorised(key_of("shop", publishes=["orders/order-lost"]))
    other = authorised(key_of("other", publishes=["bills"]))
    send(ask, {"event_type": "order-placed", "n": 1}, lost)
    send(ask, {"event_type": "order-lost"}, other)

    rows = {row["publisher"]: row for row in told(ask, reader)}

    assert rows["service:shop"]["reason"] == rows["service:other"]["reason"] == "forbidden"
    assert rows["service:shop"]["event_type"] == "order-placed"
    assert "may not publish “order-placed” events to orders" in rows["service:shop"]["detail"]
    assert rows["service:shop"]["key"] in lost["authorization"]


def test_a_stream_that_does_not_exist_notes_nothing(ask, orders, redis):
    ask("POST", "/events/nowhere", "{}")
    connections.executor().run(connections.counters.refusals.flush())

    assert redis.keys("syn:{nowhere}:*") == []


def test_a_sample_of_a_stream_with_pii_has_no_value_and_no_name_of_the_events_own(ask, define, redis):
    define("orders", {"order-placed": MARKED}, unknown_event_types="reject")
    hostile = {
        "event_type": "order-placed",
        "email": SECRET,
        "note": f"it is {SECRET}",
        "n": SECRET,
        SECRET: 4711,
        "inner": {SECRET: [SECRET, True, None]},
    }
    send(ask, hostile)
    send(ask, {**hostile, "event_type": SECRET.replace("@", "-")})
    send(ask, [hostile, SECRET])
    send(ask, json.dumps(hostile)[:-1])

    rows = told(ask)

    (sample,) = [row["sample"] for row in rows if row["rule"] == "/properties/n/type"]
    assert sample == {
        "event_type": "order-placed",
        "email": "(text)",
        "note": "(text)",
        "n": "(text)",
        "(property 5)": "(number)",
        "inner": {"(property 1)": ["(text)", "(boolean)", None]},
    }
    stored = repr(redis.hgetall("syn:{orders}:refused")) + json.dumps(rows)
    for secret in ("ada", "4711"):
        assert secret not in stored


def test_a_sample_from_before_a_mark_is_not_shown(ask, define, any_schema_may_follow):
    define("orders", {"order-placed": NUMBER})
    send(ask, {"event_type": "order-placed", "n": SECRET})
    (row,) = told(ask)
    assert row["sample"]["n"] == SECRET

    define("orders", {"order-placed": {**NUMBER, "properties": {"n": {"type": "integer", "x-pii": True}}}})

    assert [row["sample"] for row in told(ask)] == [None]


def test_a_caller_sees_the_refusals_of_types_that_it_may_read(ask, orders, key_of, settings):
    settings.AUTH = "required"
    writer = authorised(key_of("shop", publishes=["orders"]))
    send(ask, {"event_type": "order-placed", "n": "x"}, writer)
    send(ask, "{", writer)
    of_all, of_lost, of_placed = (
        authorised(key_of(f"reader{place}", subscribes=[grant]))
        for place, grant in enumerate(("orders", "orders/order-lost", "orders/order-placed"))
    )
    metrics = authorised(key_of("metrics", scopes=["metrics:read"]))

    assert {row["reason"] for row in told(ask, of_all)} == {"contract-violated", "bad-event"}
    assert told(ask, of_lost) == []
    assert [row["reason"] for row in told(ask, of_placed)] == ["contract-violated"]
    assert ask("GET", "/streams/orders/refusals", headers=writer).status == 403
    rows = told(ask, metrics)
    assert {(row["reason"], row["count"]) for row in rows} == {("contract-violated", 1), ("bad-event", 1)}
    assert all(row["sample"] is row["publisher"] is row["rule"] is row["detail"] is None for row in rows)


def test_a_storm_of_refusals_takes_bounded_memory_and_one_command(event_loop_client, orders, redis, monkeypatch):
    ask = event_loop_client
    monkeypatch.setattr(refusals, "MOST_NOTED", 3)
    for number in range(50):
        send(ask, {"event_type": f"type-{number}", "text": "x" * 5_000})
        send(ask, {"event_type": "order-placed", "n": {f"p{number}": number}})
    noted = connections.counters.refusals
    assert len(noted._noted) == 2
    before = (
        redis.info("commandstats")["cmdstat_evalsha"]["calls"] if "cmdstat_evalsha" in redis.info("commandstats") else 0
    )

    rows = {row["reason"]: row for row in told(ask)}

    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] - before <= 2
    assert (rows["unknown-event-type"]["count"], rows["contract-violated"]["count"]) == (50, 50)
    assert all(len(json.dumps(row)) < 3_500 for row in rows.values())


def test_of_more_kinds_than_are_kept_in_memory_the_reasons_are_counted(event_loop_client, define, monkeypatch):
    define("orders", {f"t{number}": NUMBER for number in range(5)})
    monkeypatch.setattr(refusals, "MOST_NOTED", 3)
    for number in range(5):
        send(event_loop_client, {"event_type": f"t{number}", "n": "x"})

    rows = told(event_loop_client)

    assert sorted((row["event_type"] or "", row["count"]) for row in rows) == [("", 2), ("t0", 1), ("t1", 1), ("t2", 1)]


def test_the_kinds_that_were_met_last_are_kept(executor, redis):
    from synapse.redis.commands.refusals import RefusalKind, kinds_of, note_refusals, read_refusals

    def kind(number):
        return RefusalKind(digest=f"{number:04}", count=1, first_ms=number, last_ms=number, known=b"{}", sample=b"{}")

    for start in range(0, 300, 50):
        executor.execute([note_refusals("orders", map(kind, range(start, start + 50)))])
    executor.execute([note_refusals("orders", [kind(299)])])

    kinds = kinds_of(*executor.execute(read_refusals("orders")))

    assert [each.digest for each in kinds] == [f"{number:04}" for number in range(299, 299 - MOST_KINDS, -1)]
    assert (kinds[0].count, kinds[1].count) == (2, 1)
    assert len(redis.hkeys("syn:{orders}:refused")) == 4 * MOST_KINDS
    assert redis.pttl("syn:{orders}:refused") > 0


def test_refusals_are_kept_while_redis_is_away_and_told_later(event_loop_client, orders, monkeypatch):
    from synapse.redis import RedisUnreachable

    send(event_loop_client, {"event_type": "order-placed", "n": "x"})
    flush = connections.counters.refusals.flush()
    next(flush)
    with pytest.raises(RedisUnreachable):
        flush.throw(RedisUnreachable("away"))
    send(event_loop_client, {"event_type": "order-placed", "n": "y"})

    (row,) = told(event_loop_client)

    assert row["count"] == 2


def test_an_error_for_some_of_the_refusals_of_a_stream_is_logged_once(ask, orders, monkeypatch, caplog):
    monkeypatch.setattr(refusals, "_AT_ONCE", 1)

    for _ in range(2):
        send(ask, {"event_type": "order-placed", "n": "x"})
        send(ask, {"event_type": "order-placed", "n": 1, "note": 2})
        flushing = connections.counters.refusals.flush()
        assert len(next(flushing)) == 2
        with pytest.raises(StopIteration):
            flushing.send([1, ReplyError("OOM command not allowed when used memory > 'maxmemory'.")])

    assert sum("“orders” cannot be stored" in each.getMessage() for each in caplog.records) == 1


@pytest.mark.parametrize("error", ["foreign kinds", "foreign counts", "out of memory"])
def test_refusals_that_redis_answers_with_an_error_are_kept_and_the_error_is_logged_once(
    event_loop_client, orders, define, redis, caplog, error
):
    define("bills")
    flush = connections.counters.refusals.flush
    foreign = keyspace.refusals("orders") if error == "foreign kinds" else keyspace.refusal_details("orders")
    if error == "out of memory":
        redis.config_set("maxmemory", 1)
    else:
        redis.set(foreign, "foreign")
    try:
        for n in ("x", "y"):
            send(event_loop_client, {"event_type": "order-placed", "n": n})
            event_loop_client("POST", "/events/bills", "[1]")
            connections.executor().run(flush())
    finally:
        redis.config_set("maxmemory", 0)
        redis.delete(foreign)

    assert sum("“orders” cannot be stored" in each.getMessage() for each in caplog.records) == 1
    (row,) = told(event_loop_client)
    assert row["count"] == 2
