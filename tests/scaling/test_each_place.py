"""Synapse works alike with one server, with Sentinels, over TLS and in a cluster."""

import asyncio

import orjson
import pytest

from streams import background_tasks, connections, health
from streams.snapshot import holder
from synapse.delivery.retry import Policy
from synapse.redis import keyspace
from synapse.redis.commands import shared_values
from synapse.redis.commands import streams as stream_commands
from synapse.redis.server_checks import server_warnings
from synapse.retention.janitor import Janitor
from synapse.retention.stream_creation import ensure_streams
from tests.bridges.cast import AT_ONCE, KeepingSink
from tests.live.server import watching

STREAMS = ("orders", "parcels", "payments")
pytestmark = [pytest.mark.process, pytest.mark.usefixtures("place", "orders")]


def post(ask, number, stream="orders", **headers):
    body = orjson.dumps({"event_type": "order-placed", "n": number})
    return ask("POST", f"/events/{stream}", body, headers)


def test_published_events_can_be_read(ask):
    ids = [post(ask, n, stream).json["id"] for stream in STREAMS for n in range(2)]

    found = [ask("GET", f"/streams/{stream}/messages").json["messages"] for stream in STREAMS]
    assert [message["id"] for messages in found for message in reversed(messages)] == ids
    assert [ask("GET", f"/streams/{stream}/info").json["length"] for stream in STREAMS] == [2, 2, 2]
    assert {stream["name"]: stream["length"] for stream in ask("GET", "/streams").json["streams"]} == dict.fromkeys(
        STREAMS, 2
    )


def test_an_event_that_is_sent_again_is_stored_once(event_loop_client):
    first, again = (post(event_loop_client, 1, **{"idempotency-key": "order-1"}) for _ in range(2))

    assert (first.status, again.status) == (201, 200)
    assert first.json["id"] == again.json["id"]


def test_a_batch_is_stored_all_together(event_loop_client):
    events = [{"event_type": "order-placed", "n": n} for n in range(50)]

    answer = event_loop_client("POST", "/events/orders?atomic=true", orjson.dumps(events))

    assert answer.status == 200
    assert len({result["id"] for result in answer.json["results"]}) == 50


def test_concurrent_publishes_get_the_answers_to_their_own_events(event_loop_client):
    async def publish(n, stream):
        body = orjson.dumps({"event_type": "order-placed", "n": n, "padding": "x" * (n * 97 % 5000)})
        answer = await event_loop_client.ask(
            "POST", f"/events/{stream}", body, {"host": "localhost", "content-type": "application/json"}
        )
        assert answer.status == 201
        return stream, answer.json["id"], n

    async def publish_all():
        return await asyncio.gather(*(publish(n, stream) for n in range(60) for stream in STREAMS))

    stored = {(stream, id_): n for stream, id_, n in event_loop_client.run(publish_all())}

    for stream in STREAMS:
        for message in event_loop_client("GET", f"/streams/{stream}/messages?count=100").json["messages"]:
            assert message["event"]["n"] == stored.pop((stream, message["id"]))
    assert not stored


def test_a_bridge_delivers_and_tries_again(event_loop_client, bridge):
    ids = [post(event_loop_client, n).json["id"] for n in range(5)]
    failed = []

    def fails_once(delivery):
        again = delivery.id in failed
        failed.append(delivery.id)
        return not again

    consumer = bridge(KeepingSink(refuses=fails_once), retry=AT_ONCE, order="key", order_key="n").run_dry()

    assert sorted(consumer.sink.ids) == sorted(ids)
    assert consumer.sink.attempts == [2] * 5


def test_an_event_that_no_attempt_delivers_becomes_a_dead_letter(event_loop_client, bridge):
    post(event_loop_client, 1)
    once = Policy(most_attempts=1, backoff=AT_ONCE.backoff)

    bridge(KeepingSink(refuses=lambda _: True), retry=once).run_dry()

    (group,) = event_loop_client("GET", "/streams/orders/groups").json["groups"]
    assert group["dead"] == 1


def test_watchers_get_the_live_events_of_their_stream(server):
    with watching(server.live()) as orders, watching(server.live("parcels")) as parcels:
        server.publish(1, 2)
        server.publish(3, stream="parcels")

        assert orders.numbers(2) == [1, 2]
        assert parcels.numbers(1) == [3]


def test_tickets_and_rate_tokens_are_stored_on_some_node():
    kept = [shared_values.keep_ticket(f"digest-{n}", b"what it stands for", seconds=30) for n in range(9)]
    taken = [shared_values.take_ticket(f"digest-{n}") for n in range(9)]
    tokens = [shared_values.take_token("key", f"shop-{n}", count=1, seconds=60) for n in range(9)]

    replies = connections.executor().execute([*kept, *taken, *taken, *tokens, *tokens])

    assert replies[9:27] == [b"what it stands for"] * 9 + [None] * 9
    assert [token.allowed for token in replies[27:]] == [True] * 9 + [False] * 9


def test_the_work_beside_the_requests_is_done(event_loop_client):
    missing = connections.executor().run(ensure_streams([*STREAMS, "later"]))
    post(event_loop_client, 1)

    background_tasks.flush_counters()

    assert missing == []
    kinds = connections.executor().execute([stream_commands.key_type(name) for name in (*STREAMS, "later")])
    assert kinds == ["stream"] * 4
    (counted,) = connections.executor().execute([stream_commands.hgetall(keyspace.stats("orders"))])
    assert counted["published"] == b"1"
    assert Janitor(connections.executor, lambda: holder.current().streams).step() is True
    assert server_warnings(connections.executor())
    assert health.check_now() == {"redis": "", "database": ""}
