"""The timeline of one event over HTTP: its place in each group, and who may know of it."""

import pytest

from bridges import dead_letters
from bridges.models import ArchivedEvent, Bridge
from bridges.sinks.stream import StreamConfig, StreamSink
from bridges.snapshot import definition_of
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.inspection.places import places_of
from synapse.inspection.range_query import FIRST_CHUNK
from synapse.redis.commands import dead_letters as dead_letter_commands
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import groups as group_commands
from synapse.schema.pii import MASK
from tests.bridges.cast import COUNTERS, DEAD, GROUP, PLACE, STREAM, TWICE, made_by_us, publish
from tests.definitions import define, key_of

pytestmark = pytest.mark.django_db
NEVER = "1-1"


def test_an_event_is_told_with_its_publishing_and_the_place_in_each_group(redis, client, timeline, shop):
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = client.post(
        f"/events/{STREAM}",
        {"event_type": "order-placed", "total": "many"},
        content_type="application/json",
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    id_ = answer.json()["entry_id"]
    redis.xgroup_create(STREAM, "analytics", "0")

    told = timeline(id_)

    assert (told["stream"], told["id"], told["is_in_stream"]) == (STREAM, id_, True)
    assert (told["event_type"], told["source"], told["contract_version"]) == ("order-placed", "anonymous", 1)
    assert [each["keyword"] for each in told["warnings"]] == ["required", "type"]
    assert (told["trace_id"], told["came_through"], told["copies"], told["archived"]) == (trace, [], [], [])
    assert [(row["group"], row["place"]) for row in told["groups"]] == [("analytics", "unread"), (GROUP, "not-created")]
    assert [row["belongs_to"] and row["belongs_to"]["name"] for row in told["groups"]] == [None, "orders-to-shop"]


def test_an_event_that_is_read_directly_is_in_flight_with_its_consumer_and_then_acknowledged(redis, place):
    redis.xgroup_create(STREAM, "analytics", "0", mkstream=True)
    (id_,) = publish(redis, 1)

    redis.xreadgroup("analytics", "reader-7", {STREAM: ">"})
    in_flight = place(id_, "analytics")
    redis.xack(STREAM, "analytics", id_)
    done = place(id_, "analytics")

    assert (in_flight["place"], in_flight["consumer"], in_flight["deliveries"]) == ("in-flight", "reader-7", 1)
    assert in_flight["since"] is not None
    # Redis keeps nothing of it, and another program may have moved its group.
    assert (done["place"], done["certain"]) == ("acknowledged", False)


def test_an_event_that_fails_is_scheduled_with_its_attempts_and_then_dead(redis, worker, place):
    shop = worker(retry=TWICE)
    shop.worker.step()
    (id_,) = publish(redis, 1, mood="no stock")

    shop.worker.step()
    scheduled = place(id_)
    shop.run_dry()
    dead = place(id_)

    assert (scheduled["place"], scheduled["deliveries"], scheduled["due_at"] is not None) == ("scheduled", 1, True)
    assert [(each["number"], each["error"]) for each in scheduled["attempts"]] == [(1, "ValueError: no stock")]
    assert (dead["place"], [each["number"] for each in dead["attempts"]]) == ("dead", [1, 2])
    (letter,) = dead["dead_letters"]
    assert (letter["error"], letter["attempts"]) == ("ValueError: no stock", 2)
    assert letter["id"] == redis.xrange(DEAD)[0][0].decode()


def test_an_event_behind_another_of_its_key_names_it(redis, send, place):
    made_by_us(redis)
    first, second, third = publish(redis, 3, customer="anna")

    send(delivery_commands.read(*PLACE, "reader", limit=10, order="key", key="customer"))

    assert place(first)["place"] == "in-flight"
    assert [(place(id_)["place"], place(id_)["blocked_by"], place(id_)["ahead"]) for id_ in (second, third)] == [
        ("blocked", first, 0),
        ("blocked", first, 1),
    ]


def test_an_acknowledged_event_is_certain_unless_it_may_have_been_passed_over(redis, worker, send, place):
    shop = worker()
    first, second = publish(redis, 2)
    shop.run_dry()
    before = place(first)

    send(group_commands.move(*PLACE, "0-0"))
    send(group_commands.move(*PLACE, first))
    shop.run_dry()

    assert (before["place"], before["certain"]) == ("acknowledged", True)
    assert [(place(id_)["place"], place(id_)["certain"]) for id_ in (first, second)] == [
        ("acknowledged", False),
        ("acknowledged", True),
    ]


def test_an_event_from_before_a_group_began_was_never_given_to_it_until_the_group_is_moved_back(
    redis, worker, send, place
):
    (id_,) = publish(redis, 1)
    shop = worker(start="$")
    shop.run_dry()
    before = place(id_)

    send(group_commands.move(*PLACE, "0-0"))
    moved = place(id_)
    shop.run_dry()

    assert (before["place"], moved["place"], place(id_)["place"]) == ("before-start", "unread", "acknowledged")
    assert redis.hget(COUNTERS, "began") == b"0-0"


def test_a_dead_letter_is_found_by_its_event_until_it_is_redriven_or_discarded(redis, worker, send, place):
    shop = worker(retry=TWICE)
    shop.run_dry()
    first, second = publish(redis, 2, mood="no stock")
    shop.run_dry()
    letters = {id_: place(id_)["dead_letters"][0]["id"] for id_ in (first, second)}

    send(dead_letter_commands.replay(*PLACE, [(letters[first], b"")]))
    send(dead_letter_commands.discard(*PLACE, [letters[second]]))

    assert (place(first)["place"], place(first)["dead_letters"]) == ("scheduled", [])
    assert (place(second)["place"], place(second)["certain"]) == ("acknowledged", False)
    assert list(redis.scan_iter("syn:*:died:*")) == []


def test_a_dead_letter_from_before_they_were_listed_by_event_is_found_too(redis, worker, place):
    shop = worker(retry=TWICE)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="no stock")
    shop.run_dry()
    redis.delete(f"syn:{{{STREAM}}}:died:{GROUP}")

    found = place(id_)

    assert (found["place"], found["dead_letters"][0]["error"]) == ("dead", "ValueError: no stock")
    assert found["dead_letters_complete"]


def archive(id_, **values):
    """Store a row as a bridge archives an event."""
    times = dict.fromkeys(("occurred_at", "published_at"), "2026-01-01T00:00Z")
    ArchivedEvent.objects.create(stream=STREAM, entry_id=id_, event_type="order-placed", event={}, **times, **values)


def test_the_copy_in_another_stream_and_the_archived_row_are_told(redis, timeline, bridge, orders):
    define("sales")
    row = Bridge.objects.create(
        name="orders-to-sales", stream=orders, group=GROUP, sink="stream", config={"stream": "sales"}
    )
    holder.forget()
    sink = StreamSink(StreamConfig(stream="sales"), definition_of(row))
    (id_,) = publish(redis, 1)
    bridge(sink).run_dry()
    archive(id_, bridge=row)

    told = timeline(id_)

    copy = redis.xrange("sales")[0][0].decode()
    assert told["copies"] == [{"bridge": "orders-to-sales", "stream": "sales", "id": copy}]
    assert [each["bridge"] for each in told["archived"]] == ["orders-to-sales"]
    assert timeline(copy, stream="sales")["came_through"] == [STREAM]


def test_an_event_that_was_trimmed_is_told_about_as_long_as_something_is_left_of_it(redis, worker, send, timeline):
    shop = worker(retry=TWICE)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="no stock")
    shop.run_dry()
    redis.xdel(STREAM, id_)

    dead = timeline(id_)
    send(dead_letter_commands.discard(*PLACE, [dead["groups"][0]["dead_letters"][0]["id"]]))

    assert (dead["is_in_stream"], dead["event_type"], dead["groups"][0]["place"]) == (False, "order-placed", "dead")
    assert timeline(id_, status=404)["detail"] == timeline(NEVER, status=404)["detail"].replace(NEVER, id_)


@pytest.fixture
def closed(settings) -> None:
    """Every caller needs a key."""
    settings.AUTH_DEFAULT = "closed"


def test_an_event_that_a_key_may_not_read_is_answered_as_one_that_never_was(redis, closed, timeline, orders):
    (id_,) = publish(redis, 1)
    key = {"authorization": f"Bearer {key_of('billing', subscribes=[f'{STREAM}/order-paid'])}"}

    refused, absent = timeline(id_, status=404, **key), timeline(NEVER, status=404, **key)

    assert refused == {**absent, **{name: absent[name].replace(NEVER, id_) for name in ("detail", "error")}}


def test_a_key_is_not_told_of_archived_rows(redis, closed, timeline, orders):
    (id_,) = publish(redis, 1)
    archive(id_)
    key = {"authorization": f"Bearer {key_of('billing', subscribes=[STREAM], scopes=['dead-letters:read'])}"}

    there = timeline(id_, **key)
    redis.xdel(STREAM, id_)

    assert there["archived"] == []
    timeline(id_, status=404, **key)


def test_a_trimmed_event_with_a_dead_letter_is_told_only_to_those_who_may_see_dead_letters(
    redis, closed, worker, timeline
):
    shop = worker(retry=TWICE)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="no stock")
    shop.run_dry()
    reader = {"authorization": f"Bearer {key_of('reader', subscribes=[STREAM])}"}
    operator = {"authorization": f"Bearer {key_of('operator', subscribes=[STREAM], scopes=['dead-letters:read'])}"}

    (there,) = timeline(id_, **reader)["groups"]
    redis.xdel(STREAM, id_)

    assert (there["place"], [each["error"] for each in there["attempts"]]) == ("dead", [None, None])
    assert timeline(id_, **operator)["groups"][0]["attempts"][0]["error"] == "ValueError: no stock"
    timeline(id_, status=404, **reader)


def test_errors_are_masked_for_those_who_may_not_see_pii(redis, closed, worker, timeline):
    define(STREAM, {"order-placed": {"properties": {"mood": {"x-pii": True}}}})
    shop = worker(retry=TWICE)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="anna@example.org")
    shop.run_dry()
    scopes = ["dead-letters:read"]
    masked = {"authorization": f"Bearer {key_of('operator', subscribes=[STREAM], scopes=scopes)}"}
    full = {"authorization": f"Bearer {key_of('officer', subscribes=[STREAM], scopes=[*scopes, 'personal:read'])}"}

    def errors(**headers: str):
        (group,) = timeline(id_, **headers)["groups"]
        return {each["error"] for each in [*group["attempts"], *group["dead_letters"]]}

    assert errors(**masked) == {"ValueError: •••"}
    assert errors(**full) == {"ValueError: anna@example.org"}


@pytest.mark.parametrize("is_trimmed", [False, True])
@pytest.mark.parametrize("event_type", ["order-placed", "order-paid"])
def test_errors_about_an_edited_event_are_masked_whichever_form_they_quote(
    redis, closed, worker, timeline, event_type, is_trimmed
):
    define(STREAM, {"order-placed": {"properties": {"mood": {"x-pii": True}}}, "order-paid": None})
    shop = worker(retry=TWICE)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="anna@example.org")
    shop.run_dry()
    event = {"event_type": event_type, "mood": "bo@example.org"}
    dead_letters.redrive_edited(STREAM, GROUP, redis.xrange(DEAD)[0][0].decode(), event, by=SYSTEM)
    shop.worker.step()
    if is_trimmed:
        redis.xdel(STREAM, id_)
    scopes = ["dead-letters:read"]
    masked = {"authorization": f"Bearer {key_of('operator', subscribes=[STREAM], scopes=scopes)}"}
    full = {"authorization": f"Bearer {key_of('officer', subscribes=[STREAM], scopes=[*scopes, 'personal:read'])}"}

    def told(**headers: str) -> str:
        return str(timeline(id_, **headers)["groups"])

    scheduled = told(**masked)
    shop.run_dry()

    for text in (scheduled, told(**masked)):
        assert "anna@" not in text
        assert "bo@" not in text or event_type == "order-paid"
        assert MASK in text
    assert told(**full).count("anna@example.org") == 2
    assert told(**full).count("bo@example.org") == 3


def test_a_marked_trace_is_masked_for_those_who_may_not_see_pii(redis, closed, timeline):
    define(STREAM, {"order-placed": {"properties": {"traceparent": {"x-pii": True}}}, "order-paid": None})
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    shown = {}
    for event_type in ("order-placed", "order-paid"):
        fields = {"event_type": event_type, "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        id_ = redis.xadd(STREAM, fields).decode()
        for scopes in ([], ["personal:read"]):
            key = {"authorization": f"Bearer {key_of(f'reader-{len(shown)}', subscribes=[STREAM], scopes=scopes)}"}
            shown[event_type, *scopes] = timeline(id_, **key)["trace_id"]

    assert shown == {
        ("order-placed",): None,
        ("order-placed", "personal:read"): trace,
        ("order-paid",): trace,
        ("order-paid", "personal:read"): trace,
    }


def test_the_attributes_of_a_cloudevent_are_told_and_masked(redis, closed, timeline):
    define(STREAM, {"order-placed": {"properties": {"email": {"x-pii": True}}}})
    attributes = '{"id":"A-7","source":"/shop","subject":"anna@example.org","_":"t"}'
    fields = {"event_type": "order-placed", "email": "anna@example.org", "synapse_cloudevent": attributes}
    id_ = redis.xadd(STREAM, {**fields, "synapse_version": "0", "synapse_added": ""}).decode()

    def told(service, **rights):
        return timeline(id_, authorization=f"Bearer {key_of(service, **rights)}")["cloudevent"]

    assert told("reader", subscribes=[STREAM]) == {"id": "A-7", "source": "/shop", "subject": "•••"}
    assert told("officer", subscribes=[STREAM], scopes=["personal:read"])["subject"] == "anna@example.org"


@pytest.mark.parametrize(
    ("traceparent", "trace"),
    [
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (f"00-{'x' * 32}-00f067aa0ba902b7-01", None),
        (f"a-{'-' * 32}-b-c", None),
        ("", None),
    ],
)
def test_only_a_trace_of_w3c_trace_context_is_told(redis, timeline, traceparent, trace):
    id_ = redis.xadd(STREAM, {"event_type": "order-placed", "traceparent": traceparent}).decode()

    assert timeline(id_)["trace_id"] == trace


@pytest.mark.parametrize("id_", ["7", "a-b", "1-1-1", "99999999999999999999999-0"])
def test_an_invalid_entry_id_is_refused(timeline, id_):
    assert timeline(id_, status=400)["parameter"] == "id"


def test_an_entry_of_another_program_is_told_as_far_as_it_can_be_read(redis, timeline):
    id_ = redis.xadd(STREAM, {b"\xff": b"\x00", "traceparent": "x" * 200, "synapse_hops": "a,b"}).decode()

    told = timeline(id_)

    assert (told["event_type"], told["contract_version"], told["warnings"]) == (None, None, None)
    assert (told["trace_id"], told["came_through"], told["groups"]) == (None, [], [])


def asked(executor, id_):
    """Return the places of an event, and how many round trips told them."""
    conversation, replies, trips = places_of(STREAM, id_), None, 0
    while True:
        try:
            commands = conversation.send(replies)
        except StopIteration as end:
            return end.value, trips
        replies, trips = executor.execute(commands), trips + 1


def test_fifty_groups_are_asked_in_two_round_trips(redis, orders, executor):
    (id_,) = publish(redis, 1)
    for n in range(50):
        redis.xgroup_create(STREAM, f"g{n}", "0" if n % 2 else "$")

    found, trips = asked(executor, id_)

    assert (trips, len(found.groups)) == (2, 50)
    assert {place.place for place in found.groups} == {"unread", "acknowledged"}


def test_the_dead_letters_of_all_groups_that_are_looked_through_for_one_event_are_bounded_together(
    redis, orders, executor
):
    (id_,) = publish(redis, 1)
    pipeline = redis.pipeline()
    for n in range(200):
        pipeline.xgroup_create(STREAM, f"g{n:03}", id_)
        pipeline.xadd(f"syn:{{{STREAM}}}:dlq:g{n:03}", {"id": id_ if n in (0, 199) else "1-1", "err": "no stock"})
    pipeline.execute()

    found, trips = asked(executor, id_)

    assert trips <= 2 + 1000 // FIRST_CHUNK
    first, *_, last = found.groups
    assert (first.place, first.is_complete) == ("dead", True)
    # It was not looked through, and the answer says so.
    assert (last.place, last.is_certain, last.is_complete) == ("acknowledged", False, False)
