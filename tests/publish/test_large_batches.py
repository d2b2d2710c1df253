"""A large batch is parsed a slice at a time: each slice and the objects made from it stay small."""

import asyncio
import gc

import orjson
import pytest

from streams.api import routes
from synapse.formats import json_slices, strict_json
from synapse.publishing import body as publishing_body
from synapse.redis.command import Command
from synapse.shares.fair_pool import FairQueue
from tests.both_ways import Wire

GOOD = {"event_type": "order-placed", "order_id": 7, "note": "a text with ] and } and , in it"}
# Some 280 KB: nine slices, and more than an event may have, so that they wait for their turn.
MANY = 3200
HEADERS = {"host": "localhost", "content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(autouse=True)
def stream(redis, define):
    define("orders")


@pytest.fixture
def parsed(monkeypatch):
    """The sizes of the texts that were handed to the parser."""
    sizes = []
    loads = orjson.loads

    def measured(data):
        sizes.append(len(data))
        return loads(data)

    monkeypatch.setattr(strict_json.orjson, "loads", measured)
    return sizes


@pytest.mark.parametrize("indent", [b"", b"\n  "])
def test_a_large_array_is_parsed_in_slices_and_stored_in_its_order(ask, redis, parsed, indent):
    events = [{**GOOD, "order_id": number} for number in range(MANY)]
    body = b"[" + b",".join(indent + orjson.dumps(event) for event in events) + b"]"

    answer = ask("POST", "/events/orders", body)

    parsed_here = [size for size in parsed if size > 200]
    assert answer.json["accepted"] == MANY
    assert [int(fields[b"order_id"]) for _, fields in redis.xrange("orders")] == list(range(MANY))
    assert max(parsed_here[: len(body) // json_slices.SLICE]) <= json_slices.SLICE + 100


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[" + b"{}," * 2_700_000 + b"{}]", {}),
        (b"[" + b"1 ,\n" * 2_000_000 + b"1]", {}),
        (b"{}\n" * 2_700_000, NDJSON),
    ],
    ids=["empty objects", "numbers", "lines"],
)
def test_a_batch_of_too_many_events_is_refused_before_the_rest_is_parsed(ask, redis, parsed, body, headers):
    answer = ask("POST", "/events/orders", body, headers)

    assert answer.status == 413
    assert "more than 10000 events" in answer.json["detail"]
    assert sum(parsed) <= 4 * json_slices.SLICE + len(answer.body)


def test_a_million_empty_lines_are_passed_over(ask, redis):
    answer = ask("POST", "/events/orders", b"\n" * 1_000_000 + orjson.dumps(GOOD), NDJSON)

    assert answer.status == 200
    assert redis.xlen("orders") == 1


@pytest.mark.parametrize("where", [0, MANY // 2, -1])
def test_a_fault_anywhere_in_a_large_array_stores_nothing(ask, redis, where):
    events = [orjson.dumps(GOOD)] * MANY
    events[where] = b'{"event_type":"order-placed","order_id":1,"order_id":2}'

    answer = ask("POST", "/events/orders", b"[" + b",".join(events) + b"]")

    assert answer.status == 400
    assert "“order_id”" in answer.json["detail"] or '"order_id"' in answer.json["detail"]
    assert redis.exists("orders") == 0


def test_a_fault_in_a_large_array_is_told_with_its_place_in_the_whole_body(ask):
    events = [orjson.dumps(GOOD)] * MANY

    answer = ask("POST", "/events/orders", b"[" + b",\n".join(events) + b",\n tru]")

    assert f"(line {MANY + 1}, column 2)" in answer.json["detail"]


def test_an_event_that_is_too_long_or_has_too_many_parts_harms_no_other_and_is_not_parsed(ask, redis, parsed):
    long, many = b'{"text":"' + b"x" * 300_000 + b'"}', b'{"list":[' + b"[]," * 30_000 + b"1]}"

    answer = ask("POST", "/events/orders", b"[" + b",".join([long, orjson.dumps(GOOD), many]) + b"]")

    results = answer.json["results"]
    assert [result["status"] for result in results] == ["rejected", "accepted", "rejected"]
    assert "262144" in results[0]["errors"][0]["message"]
    assert "more than 10000 parts" in results[2]["errors"][0]["message"]
    assert max(parsed) <= json_slices.SLICE + 100


@pytest.mark.parametrize("query", ["", "?atomic=true"])
def test_a_large_batch_that_is_sent_again_under_its_key_is_stored_once(ask, redis, query):
    body = orjson.dumps([{**GOOD, "order_id": number} for number in range(2000)])
    headers = {"idempotency-key": "a-large-one"}

    first = ask("POST", f"/events/orders{query}", body, headers)
    again = ask("POST", f"/events/orders{query}", body, headers)

    assert first.json["accepted"] == again.json["accepted"] == 2000
    assert again.headers["idempotency-replayed"] == "true"
    assert redis.xlen("orders") == 2000


def test_large_batches_are_worked_on_one_after_the_other(event_loop_client, monkeypatch):
    body = orjson.dumps([{**GOOD, "order_id": number} for number in range(MANY)])
    at_work, most = 0, 0
    read = publishing_body.read_body

    def counted(request):
        nonlocal at_work, most
        found = read(request)

        def slices():
            nonlocal at_work, most
            at_work += 1
            most = max(most, at_work)
            yield from found.slices
            at_work -= 1

        return found._replace(slices=slices())

    monkeypatch.setattr(publishing_body, "read_body", counted)
    monkeypatch.setitem(routes.QUEUES, "large batches", FairQueue("large batches", capacity=len(body) * 2, patience=60))

    async def ask_all():
        path = "/events/orders/validate"
        return await asyncio.gather(*(event_loop_client.ask("POST", path, body, HEADERS) for _ in range(4)))

    answers = event_loop_client.run(ask_all())

    assert [answer.json["accepted"] for answer in answers] == [MANY] * 4
    assert most == 2


def test_a_large_batch_whose_turn_does_not_come_is_refused_with_a_time_to_come_again(event_loop_client, monkeypatch):
    body = orjson.dumps([{**GOOD, "order_id": number} for number in range(MANY)])
    queue = FairQueue("large batches", capacity=1, patience=0)
    monkeypatch.setitem(routes.QUEUES, "large batches", queue)

    async def ask_during_another_one():
        async with queue.turn(("service", "another")):
            return await event_loop_client.ask("POST", "/events/orders", body, HEADERS)

    during = event_loop_client.run(ask_during_another_one())
    after = event_loop_client("POST", "/events/orders", body)

    assert (during.status, during.headers["retry-after"]) == (503, "1")
    assert during.json["type"].endswith("busy")
    assert after.status == 200


def test_a_large_body_is_read_a_piece_at_a_time_between_the_work_of_others(event_loop_client, monkeypatch):
    calls = []
    monkeypatch.setattr(Wire, "pause_reading", lambda _: calls.append("pause"))
    monkeypatch.setattr(Wire, "resume_reading", lambda _: calls.append("resume"))

    small = event_loop_client("POST", "/events/orders", orjson.dumps([GOOD] * 100))
    assert calls == []

    large = event_loop_client("POST", "/events/orders", orjson.dumps([GOOD] * MANY))

    assert (small.status, large.status) == (200, 200)
    assert calls == ["pause", "resume"]


def test_the_commands_of_a_batch_are_freed_without_the_garbage_collector(ask):
    def commands():
        return sum(type(found) is Command for found in gc.get_objects())

    ask("POST", "/events/orders", orjson.dumps([GOOD] * 100))
    gc.collect()
    gc.disable()
    try:
        before = commands()
        answer = ask("POST", "/events/orders", orjson.dumps([GOOD] * 100))
        left = commands() - before
    finally:
        gc.enable()

    assert answer.json["accepted"] == 100
    assert left < 100
