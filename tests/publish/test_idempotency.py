"""Sending again under one Idempotency-Key stores nothing twice, on the fast path and in Django."""

import asyncio
import re
import threading
from datetime import timedelta

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams import background_tasks, connections
from streams.snapshot import holder
from synapse.auth.principal import Principal
from synapse.http.exchange import Request
from synapse.publishing import pipeline
from tests.both_ways import DjangoAlone
from tests.chaos.profile import examples

PLACED = {"event_type": "order-placed", "order_id": 7}
OTHER = {"event_type": "order-placed", "order_id": 8}
BAD = {"event_type": "order-placed", "order_id": 0}
KEY = {"idempotency-key": "5f1c/order-7"}
REUSED = "urn:synapse:problem:idempotency-key-reused"


@pytest.fixture(autouse=True)
def orders(define):
    schema = {"required": ["order_id"], "properties": {"order_id": {"type": "integer", "minimum": 1}}}
    return define("orders", {"order-placed": schema})


def post(ask, events, path="/events/orders", headers=KEY):
    return ask("POST", path, orjson.dumps(events), headers)


def ids_in(redis):
    return [id_.decode() for id_, _ in redis.xrange("orders")]


def keys_in(redis):
    return redis.keys("syn:{orders}:idem:*")


def counters(ask):
    background_tasks.flush_counters()
    return ask("GET", "/streams/orders").json["counters"]


class TestOneEvent:
    def test_sent_again_is_answered_with_the_same_id_and_stored_once(self, ask, redis):
        first, again = post(ask, PLACED), post(ask, PLACED)

        assert (first.status, again.status) == (201, 200)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json == first.json
        assert ids_in(redis) == [first.json["id"]]

    @pytest.mark.parametrize("when_full", ["drop_oldest", "reject"])
    def test_something_else_under_the_same_key_is_refused(self, ask, redis, define, when_full):
        define("orders", when_full=when_full)
        post(ask, PLACED)

        answer = post(ask, OTHER)

        assert (answer.status, answer.json["type"]) == (422, REUSED)
        assert redis.xlen("orders") == 1

    def test_the_same_event_for_another_version_is_something_else(self, ask, redis):
        post(ask, PLACED)

        answer = post(ask, PLACED, headers={**KEY, "synapse-contract-version": "1"})

        assert (answer.status, answer.json["type"]) == (422, REUSED)

    def test_white_space_makes_no_other_event(self, ask, redis):
        post(ask, PLACED)

        answer = ask("POST", "/events/orders", orjson.dumps(PLACED, option=orjson.OPT_INDENT_2), KEY)

        assert answer.status == 200

    def test_an_event_that_was_refused_leaves_its_key_free(self, ask, redis):
        assert post(ask, BAD).status == 422

        assert post(ask, PLACED).status == 201

    def test_a_key_belongs_to_its_stream(self, ask, redis, define):
        define("parcels")

        answers = [post(ask, PLACED, path=path) for path in ("/events/orders", "/events/parcels")]

        assert [answer.status for answer in answers] == [201, 201]

    def test_a_stream_that_became_full_still_knows_what_it_took(self, ask, redis, define):
        define("orders", when_full="reject", hard_length=1)
        first = post(ask, PLACED)

        assert post(ask, PLACED).json["id"] == first.json["id"]
        assert post(ask, PLACED, headers={"idempotency-key": "new"}).json["type"] == "urn:synapse:problem:stream-full"

    def test_a_key_is_remembered_for_the_window_of_its_stream(self, ask, redis, define):
        define("orders", idempotency_window=timedelta(hours=2))

        post(ask, PLACED)

        (key,) = keys_in(redis)
        assert 7_100_000 < redis.pttl(key) <= 7_200_000

    def test_a_replay_is_counted_as_a_duplicate_and_not_as_published(self, ask, redis):
        for _ in range(3):
            post(ask, PLACED)
        post(ask, OTHER)

        found = counters(ask)
        assert (found["published"], found["duplicates"], found["refused"]) == (1, 2, 1)
        text = ask("GET", "/metrics", headers={"accept": "text/plain;version=0.0.4"}).body.decode()
        assert 'synapse_events_duplicates_total{stream="orders"} 2.0' in text

    def test_without_a_key_nothing_is_remembered(self, ask, redis):
        assert [post(ask, PLACED, headers={}).status for _ in range(2)] == [201, 201]
        assert keys_in(redis) == []

    def test_validating_passes_a_key_over(self, ask, redis):
        answers = [post(ask, PLACED, path="/events/orders/validate", headers={"idempotency-key": k}) for k in "a a"]

        assert [answer.status for answer in answers] == [200, 200, 200]
        assert keys_in(redis) == []


def test_an_idempotency_key_belongs_to_its_caller(redis, executor):
    def sent_by(name):
        request = Request(
            method="POST",
            path="/events/orders",
            params={"stream": "orders"},
            headers={"content-type": "application/json", **KEY},
            body=orjson.dumps(PLACED),
            principal=Principal(kind="service", name=name),
        )
        return executor.run(pipeline.publish_events(request, holder.current(), connections.counters)).status

    assert [sent_by("shop"), sent_by("warehouse"), sent_by("shop")] == [201, 201, 200]


@pytest.mark.parametrize("key", ["", "a b", "a" * 129, "schlüssel", "a\tb"])
def test_a_key_that_cannot_be_used_is_refused_and_nothing_stored(ask, redis, key):
    answer = post(ask, PLACED, headers={"idempotency-key": key})

    assert (answer.status, answer.json["type"]) == (400, "urn:synapse:problem:bad-request")
    assert answer.json["parameter"] == "Idempotency-Key"
    assert redis.xlen("orders") == 0


@pytest.mark.parametrize("key", ["!", "~" * 128, '"a,b;c"'])
def test_any_printable_key_will_do(ask, redis, key):
    assert [post(ask, PLACED, headers={"idempotency-key": key}).status for _ in range(2)] == [201, 200]


def test_two_keys_in_one_request_are_refused(event_loop_client, redis):
    class Twice(dict):
        def items(self):
            return [*super().items(), ("idempotency-key", "b")]

    sent = Twice({"host": "localhost", "content-type": "application/json", "idempotency-key": "a"})
    answer = event_loop_client.run(event_loop_client.ask("POST", "/events/orders", orjson.dumps(PLACED), sent))

    assert (answer.status, answer.json["parameter"]) == (400, "Idempotency-Key")
    assert redis.xlen("orders") == 0


def test_a_stream_that_requires_a_key_takes_nothing_without_one(ask, redis, define):
    define("orders", idempotency_key="required")

    refused, taken = post(ask, PLACED, headers={}), post(ask, PLACED)

    assert (refused.status, refused.json["parameter"], taken.status) == (400, "Idempotency-Key", 201)
    assert redis.xlen("orders") == 1
    assert post(ask, PLACED, path="/events/orders/validate", headers={}).status == 200


class TestBatches:
    def test_each_event_has_a_key_of_its_own(self, ask, redis):
        first, again = post(ask, [PLACED, PLACED, OTHER]), post(ask, [PLACED, PLACED, OTHER])

        assert (first.status, again.status) == (200, 200)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert [result["replayed"] for result in again.json["results"]] == [True, True, True]
        assert [result["id"] for result in again.json["results"]] == ids_in(redis)
        assert [result["id"] for result in first.json["results"]] == ids_in(redis)

    def test_a_repeated_batch_stores_missing_events_and_replays_the_rest(self, ask, redis):
        first = post(ask, [PLACED, BAD, OTHER])
        again = post(ask, [PLACED, OTHER, OTHER])

        assert (first.status, again.status) == (207, 200)
        assert [result.get("replayed") for result in again.json["results"]] == [True, None, True]
        assert "idempotency-replayed" not in again.headers
        assert redis.xlen("orders") == 3

    def test_an_event_that_changed_is_refused_and_the_others_replayed(self, ask, redis):
        post(ask, [PLACED, PLACED])

        answer = post(ask, [PLACED, OTHER])

        assert answer.status == 207
        assert [result["status"] for result in answer.json["results"]] == ["accepted", "rejected"]
        assert answer.json["results"][1]["errors"][0]["type"] == REUSED
        assert redis.xlen("orders") == 2

    def test_an_event_of_a_batch_can_be_sent_again_alone(self, ask, redis):
        post(ask, [PLACED, OTHER])

        answer = post(ask, OTHER, headers={"idempotency-key": KEY["idempotency-key"] + "/1"})

        assert (answer.status, answer.json["id"]) == (200, ids_in(redis)[1])

    def test_a_large_one_is_stored_in_its_order_by_a_server_that_forgot_the_script(self, ask, redis):
        events = [{"event_type": "order-placed", "order_id": number} for number in range(1, 2001)]
        redis.script_flush()

        first, again = post(ask, events), post(ask, events)

        assert [result["id"] for result in first.json["results"]] == ids_in(redis)
        assert again.json["results"] == [{**result, "replayed": True} for result in first.json["results"]]


@pytest.mark.parametrize("when_full", ["drop_oldest", "reject"])
class TestAtomicBatches:
    PATH = "/events/orders?atomic=true"

    @pytest.fixture(autouse=True)
    def orders(self, define, when_full):
        define("orders", {"order-placed": {"properties": {"order_id": {"minimum": 1}}}}, when_full=when_full)

    def test_sent_again_is_stored_once(self, ask, redis):
        first, again = post(ask, [PLACED, OTHER], self.PATH), post(ask, [PLACED, OTHER], self.PATH)

        assert (first.status, again.status, redis.xlen("orders")) == (200, 200, 2)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.json["results"] == [{**result, "replayed": True} for result in first.json["results"]]
        assert len(keys_in(redis)) == 1
        assert counters(ask)["duplicates"] == 2

    @pytest.mark.parametrize("events", [[PLACED], [OTHER, PLACED], [PLACED, OTHER, OTHER]])
    def test_another_batch_under_the_same_key_is_refused_as_a_whole(self, ask, redis, events):
        post(ask, [PLACED, OTHER], self.PATH)

        answer = post(ask, events, self.PATH)

        assert (answer.status, answer.json["type"]) == (422, REUSED)
        assert {result["status"] for result in answer.json["results"]} == {"rejected"}
        assert redis.xlen("orders") == 2

    def test_a_batch_and_an_event_cannot_share_a_key(self, ask, redis):
        post(ask, [PLACED], self.PATH)
        assert post(ask, PLACED).json["type"] == REUSED
        post(ask, OTHER, headers={"idempotency-key": "other"})
        assert post(ask, [OTHER], self.PATH, {"idempotency-key": "other"}).json["type"] == REUSED
        assert redis.xlen("orders") == 2

    def test_an_atomic_batch_with_a_bad_event_leaves_its_key_free(self, ask, redis):
        assert post(ask, [PLACED, BAD], self.PATH).status == 422

        assert post(ask, [PLACED, OTHER], self.PATH).status == 200
        assert redis.xlen("orders") == 2


def test_a_full_stream_takes_no_batch_and_leaves_its_key_free(ask, redis, define):
    define("orders", when_full="reject", hard_length=1)
    path = "/events/orders?atomic=true"

    assert post(ask, [PLACED, OTHER], path).json["type"] == "urn:synapse:problem:stream-full"
    assert keys_in(redis) == []


def test_of_fifty_at_once_on_the_event_loop_one_is_stored(event_loop_client, redis):
    async def race():
        sent = {"host": "localhost", "content-type": "application/json", **KEY}
        body = orjson.dumps(PLACED)
        return await asyncio.gather(*(event_loop_client.ask("POST", "/events/orders", body, sent) for _ in range(50)))

    answers = event_loop_client.run(race())

    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert {answer.json["id"] for answer in answers} == set(ids_in(redis))
    assert redis.xlen("orders") == 1


def test_of_fifty_at_once_in_threads_one_is_stored(redis):
    holder.refresh()
    answers = []
    ready = threading.Barrier(50)

    def send():
        way = DjangoAlone()
        ready.wait(timeout=120)
        answers.append(post(way, PLACED))

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)

    assert sorted(answer.status for answer in answers) == [200] * 49 + [201]
    assert redis.xlen("orders") == 1


# NUL is refused wherever it stands.
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=2)
_EVENTS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | _TEXTS, max_size=3)


@pytest.fixture
def loose(redis, define):
    """A stream that takes any event, and the catalog with it."""
    define("loose")
    return holder.refresh()


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=_EVENTS, second=_EVENTS)
def test_an_event_with_any_difference_under_the_same_key_is_refused(redis, executor, loose, first, second):
    redis.flushall()

    def send(event):
        headers = {"content-type": "application/json", **KEY}
        body = orjson.dumps({"event_type": "x", **event})
        request = Request(method="POST", path="/events/loose", params={"stream": "loose"}, headers=headers, body=body)
        try:
            return executor.run(pipeline.publish_events(request, loose, connections.counters)).status
        except pipeline.Problem as problem:
            return problem.status

    same = orjson.dumps(first) == orjson.dumps(second)
    assert (send(first), send(second)) == (201, 200 if same else 422)
    assert redis.xlen("loose") == 1


def test_a_page_of_another_site_may_send_a_key_and_see_that_it_was_known(ask, redis):
    page = {"origin": "http://localhost:5173"}
    wanted = {"access-control-request-method": "POST", "access-control-request-headers": "idempotency-key"}

    preflight = ask("OPTIONS", "/events/orders", b"", page | wanted)
    answer = post(ask, PLACED, headers=KEY | page)

    assert "idempotency-key" in re.split(r",\s*", preflight.headers["access-control-allow-headers"])
    assert "idempotency-replayed" in answer.headers["access-control-expose-headers"].split(", ")
