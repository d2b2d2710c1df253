"""Events that go on into another stream: by that stream's rules, once, and never in circles."""

from datetime import timedelta

import pytest

from bridges.copies import MOST_HOPS
from bridges.sinks import stream as stream_sink
from bridges.sinks.stream import StreamConfig, StreamSink
from streams import connections
from streams.models import Stream
from streams.snapshot import holder
from synapse.auth.principal import EVERYTHING
from synapse.errors.delivery import BadConfig, SinkAway, SinkBroken
from synapse.inspection.refusals import refusals_of, seen_by
from synapse.redis.commands.publishing import StoreResult, publish_once
from synapse.wire import encoding
from tests.bridges.cast import always
from tests.bridges.sinks import definition, delivery
from tests.cloudevents.cast import CAME, TIME, fields_of
from tests.definitions import define
from tests.tables import for_each

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
ORDER = {"event_type": "order-placed", "n": 1}
TRACE = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "synapse_tracestate": "vendor=1",
    "synapse_added": "etsc",
}


def published(event, *, source="shop", stream="orders", hops="", id_="17-0"):
    """Return the delivery of an event that was published to a stream."""
    parts = encoding.encode(event, layout="flat", timestamp="2026-11-01T08:00:00Z", source=source, contract_version=0)
    fields = encoding.pairs(parts) | ({b"synapse_hops": hops.encode()} if hops else {})
    one = delivery(fields, id_)
    one.stream = stream
    return one


def open_(to="copies", *, stream="orders", name="copying", **config):
    bridge = definition("stream", stream=stream, name=name)
    return StreamSink.open(StreamConfig.read({"stream": to, **config}), bridge, stopping=lambda: False)


def entries(redis, stream="copies"):
    return [dict(fields) for _, fields in redis.xrange(stream)]


def events(redis, stream="copies"):
    return [encoding.decode(fields).event for fields in entries(redis, stream)]


@pytest.fixture
def copies(redis, db):
    return define("copies")


def test_an_event_is_published_to_the_other_stream_as_it_is(redis, copies):
    assert open_().deliver([published(ORDER)], always) == [None]

    (fields,) = entries(redis)
    read = encoding.decode(fields)
    assert read.event == ORDER
    assert (read.source, read.timestamp) == ("shop", "2026-11-01T08:00:00Z")
    assert fields[b"synapse_hops"] == b"orders"


def test_its_layout_is_that_of_the_other_stream(redis, db):
    define("copies", layout="dual")

    open_().deliver([published(ORDER)], always)

    assert encoding.decode(entries(redis)[0]).layout == "dual"


def test_its_trace_goes_on(redis, copies):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    beside = {"traceparent": trace, "synapse_tracestate": "vendor=1"}
    parts = encoding.encode(ORDER, layout="flat", timestamp="t", source="s", contract_version=0, beside=beside)

    open_().deliver([delivery(encoding.pairs(parts))], always)

    (copy,) = entries(redis)
    assert {name: copy[name.encode()].decode() for name in beside} == beside


def test_the_attributes_of_a_cloudevent_go_on(redis, copies):
    open_().deliver([delivery(fields_of(ORDER, CAME) | TRACE)], always)

    (copy,) = entries(redis)
    read = encoding.decode(copy)
    assert (read.cloudevent, read.source, read.timestamp) == (CAME, CAME["source"], TIME)
    assert copy[b"synapse_tracestate"].decode() == TRACE["synapse_tracestate"]


@pytest.mark.parametrize(
    "config", [{"drop": ["email"]}, {"event_type": "order-copied"}, {"set": {"x": 1}}, {"keep": ["n"]}]
)
def test_a_changed_cloudevent_has_nothing_of_the_producers_own_texts(redis, copies, config):
    open_(**config).deliver([delivery(fields_of(ORDER, CAME) | TRACE, "1766570400123-0")], always)

    (copy,) = entries(redis)
    read = encoding.decode(copy)
    assert (read.cloudevent, read.source, read.timestamp) == (None, "copying", "2025-12-24T10:00:00.123Z")
    assert copy[b"traceparent"].decode() == TRACE["traceparent"]
    assert b"synapse_tracestate" not in copy


def test_attributes_that_are_no_text_are_copied_as_they_are_read(redis, copies):
    garbled = fields_of(ORDER) | {"synapse_cloudevent": b'{"id": "A-\xff", "source": "/shop"}'}
    batch = [published(ORDER, id_="17-1"), delivery(garbled, "17-2"), published(ORDER, id_="17-3")]

    assert open_().deliver(batch, always) == [None, None, None]

    found = [encoding.decode(fields).cloudevent for fields in entries(redis)]
    assert found == [None, {"id": "A-\ufffd", "source": "/shop"}, None]


def test_an_event_that_is_delivered_again_is_stored_once(redis, copies):
    sink = open_()
    batch = [published(ORDER, id_=f"17-{n}") for n in range(250)]

    assert sink.deliver(batch, always) == [None] * 250
    assert sink.deliver(batch, always) == [None] * 250
    assert open_(set={"again": True}).deliver(batch, always) == [None] * 250

    assert len(entries(redis)) == 250
    connections.executor().run(connections.counters.flush())
    assert redis.hget("syn:{copies}:stats", "published") == b"250"


def test_another_bridge_stores_it_once_more(redis, copies):
    open_().deliver([published(ORDER)], always)
    open_(name="mirroring").deliver([published(ORDER)], always)

    assert len(entries(redis)) == 2


def test_an_event_that_breaks_the_others_contract_is_refused_for_good_and_its_neighbours_are_not(redis, db):
    define("copies", {"order-placed": SCHEMA})
    batch = [published({**ORDER, "n": n}, id_=f"17-{at}") for at, n in enumerate([1, "many", 3])]

    outcomes = open_().deliver(batch, always)

    assert [outcome and outcome.permanent for outcome in outcomes] == [None, True, None]
    assert "“copies” does not take it: The event breaks version 1 of the contract" in str(outcomes[1])
    assert [event["n"] for event in events(redis)] == [1, 3]
    connections.executor().run(connections.counters.flush())
    assert redis.hget("syn:{copies}:stats", "refused:contract-violated") == b"1"


@pytest.mark.parametrize("enforcement", ["warn", "off"])
def test_where_the_contract_is_not_enforced_it_is_stored(redis, db, enforcement):
    define("copies", {"order-placed": SCHEMA}, enforcement=enforcement)

    assert open_().deliver([published({**ORDER, "n": "many"})], always) == [None]
    assert len(entries(redis)) == 1


def test_a_type_that_the_other_does_not_take_is_refused_for_good(redis, db):
    define("copies", {"order-copied": None}, unknown_event_types="reject")

    (outcome,) = open_().deliver([published(ORDER)], always)
    assert outcome.permanent

    assert open_(event_type="order-copied").deliver([published(ORDER)], always) == [None]


def test_the_mapping_says_what_becomes_of_the_event(redis, copies):
    order = {"event_type": "order-placed", "order_id": 7, "card": "4111", "total": 9.5}

    open_(event_type="sale", drop=["card"], rename={"order_id": "id"}, set={"origin": {"shop": 1}}).deliver(
        [published(order)], always
    )

    assert events(redis) == [{"event_type": "sale", "id": 7, "total": 9.5, "origin": {"shop": 1}}]


@for_each(
    "mapping, expected",
    [
        ({}, {"event_type": "a", "event": "b", "x": 1, "y": 2}),
        ({"keep": ["x"]}, {"event_type": "a", "event": "b", "x": 1}),
        ({"keep": []}, {"event_type": "a", "event": "b"}),
        ({"drop": ["x", "z"]}, {"event_type": "a", "event": "b", "y": 2}),
        ({"rename": {"x": "y", "y": "x"}}, {"event_type": "a", "event": "b", "x": 2, "y": 1}),
        ({"rename": {"x": "y"}}, {"event_type": "a", "event": "b", "y": 1}),
        ({"rename": {"z": "y"}}, {"event_type": "a", "event": "b", "x": 1, "y": 2}),
        ({"keep": ["x"], "rename": {"x": "y"}, "set": {"y": None}}, {"event_type": "a", "event": "b", "y": None}),
        ({"event_type": "c"}, {"event_type": "c", "x": 1, "y": 2}),
    ],
)
def test_how_properties_are_mapped(mapping, expected):
    event = {"event_type": "a", "event": "b", "x": 1, "y": 2}

    assert StreamConfig(stream="copies", **mapping).map_event(event) == expected
    assert event == {"event_type": "a", "event": "b", "x": 1, "y": 2}


def test_two_streams_that_mirror_each_other_hold_each_event_once(redis, db):
    define("orders")
    define("copies")
    there, back = open_(), open_("orders", stream="copies", name="back")
    there.deliver([published(ORDER)], always)
    ((id_, fields),) = redis.xrange("copies")
    arrived = delivery(fields, id_.decode())
    arrived.stream = "copies"

    assert back.deliver([arrived], always) == [None]

    assert entries(redis, "orders") == []


def test_an_event_goes_through_so_many_streams_and_no_more(redis, copies):
    trail = ",".join(f"s{n}" for n in range(MOST_HOPS))
    shorter = trail.rpartition(",")[0]

    outcomes = open_().deliver([published(ORDER, hops=trail), published(ORDER, hops=shorter, id_="17-1")], always)

    assert outcomes[0].permanent
    assert str(outcomes[0]) == f"It came through 9 streams: {trail.replace(',', ', ')}, orders"
    assert outcomes[1] is None


def test_a_stream_that_is_full_is_asked_again_later(redis, db):
    define("copies", when_full="reject", hard_length=1)

    outcomes = open_().deliver([published(ORDER), published(ORDER, id_="17-1")], always)

    assert outcomes[0] is None
    assert str(outcomes[1]) == "“copies” is full and takes no more"
    assert (outcomes[1].permanent, outcomes[1].retry_after) == (False, stream_sink.FULL_WAIT)
    executor, target = connections.executor(), holder.current().streams["copies"]
    executor.run(connections.counters.refusals.flush())
    (kind,) = seen_by(EVERYTHING, target, executor.run(refusals_of(target)))
    assert (kind["reason"], kind["publisher"], kind["count"]) == ("stream-full", "bridge copying", 1)


def test_a_stream_that_wants_its_events_safe_gets_them_again_until_they_are(redis, db, monkeypatch):
    monkeypatch.setattr("streams.snapshot.patience_of", lambda _: timedelta(seconds=0.4))
    define("copies", durability="replicated", idempotency_key="required")

    outcomes = [open_().deliver([published(ORDER)], always) for _ in range(2)]

    assert {str(outcome) for (outcome,) in outcomes} == {
        "“copies” may have it, but 0 of the 1 replicas that it is to be on had it in time"
    }
    assert len(entries(redis)) == 1


def test_a_key_that_holds_something_else_is_left_alone(redis, copies):
    redis.set("copies", "mine")

    (outcome,) = open_().deliver([published(ORDER)], always)

    assert str(outcome) == "The Redis key “copies” does not hold a stream"
    assert redis.get("copies") == b"mine"


def test_without_redis_nothing_was_begun(own_valkey, db):
    define("copies")
    sink = open_()
    own_valkey.kill()

    with pytest.raises(SinkAway, match="Redis"):
        sink.deliver([published(ORDER)], always)


def test_a_stream_that_is_not_there_is_said_when_the_sink_is_opened_and_waited_for_later(redis, copies):
    with pytest.raises(SinkBroken, match="There is no stream “nowhere” to send events to"):
        open_("nowhere")
    sink = open_()
    Stream.objects.all().delete()
    holder.forget()

    with pytest.raises(SinkAway, match="There is no stream “copies”"):
        sink.deliver([published(ORDER)], always)


def test_the_stream_that_the_bridge_reads_cannot_be_where_it_writes(redis, db):
    define("orders")

    with pytest.raises(SinkBroken, match="its events would go in circles"):
        open_("orders")


@for_each(
    "field, value, words",
    [
        ("stream", "syn:x", "is no stream's name"),
        ("event_type", "", "must be a type, or left out"),
        ("event_type", "a b", "is no event type"),
        ("rename", {"a": "c", "b": "c"}, "gives two properties one name"),
        ("rename", {"event_type": "kind"}, "must not name event_type"),
        ("rename", {"kind": "event"}, "must not name event"),
        ("rename", {"a": 1}, "must hold nothing but text"),
        ("set", {"synapse_version": 1}, "must not name synapse_version"),
        ("keep", "a", "must be a list or nothing, but is the text “a”"),
        ("drop", [1], "must hold nothing but text, but holds the number 1"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_by_its_field(field, value, words):
    with pytest.raises(BadConfig) as caught:
        StreamConfig.read({"stream": "copies", field: value})

    assert list(caught.value.errors) == [field]
    assert words in caught.value.errors[field]


def test_keeping_and_dropping_together_is_refused():
    with pytest.raises(BadConfig, match="drop: is of no use beside keep"):
        StreamConfig.read({"stream": "copies", "keep": ["a"], "drop": ["b"]})


class TestPublishOnce:
    """The script alone."""

    def send(self, executor, fingerprint="a", key="k", who="me", window_ms=60_000, hard_length=0):
        command = publish_once(
            "orders",
            [b"n", b"1"],
            who=who,
            key=key,
            fingerprint=fingerprint,
            window_ms=window_ms,
            hard_length=hard_length,
        )
        return executor.execute([command])[0]

    def test_the_same_key_again_is_the_same_entry_and_is_counted(self, redis, executor):
        first = self.send(executor)

        assert first.outcome == "stored"
        assert self.send(executor) == StoreResult(outcome="repeated", id=first.id)
        assert redis.xlen("orders") == 1
        assert redis.hgetall("syn:{orders}:stats") == {b"duplicates": b"1"}

    def test_the_same_key_with_something_else_is_a_conflict(self, redis, executor):
        self.send(executor)

        assert self.send(executor, fingerprint="b") == StoreResult(outcome="conflict")
        assert redis.xlen("orders") == 1

    def test_idempotency_keys_belong_to_their_publisher(self, redis, executor):
        assert {self.send(executor, who=who).outcome for who in ("me", "you")} == {"stored"}

    def test_a_full_stream_takes_nothing_new_and_still_knows_what_it_took(self, redis, executor):
        first = self.send(executor, hard_length=1)

        assert self.send(executor, key="l", hard_length=1) == StoreResult(outcome="full")
        assert self.send(executor, hard_length=1) == StoreResult(outcome="repeated", id=first.id)

    def test_the_idempotency_key_of_a_forwarded_event_expires_after_its_window(self, redis, executor):
        self.send(executor, window_ms=60_000)

        (key,) = redis.keys("syn:{orders}:idem:*")
        assert 0 < redis.pttl(key) <= 60_000
