"""A publish is acknowledged once its event is as safe as its stream requires, on the fast path and in Django."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import patch

import orjson
import pytest

from streams import background_tasks, snapshot
from streams.snapshot import holder
from tests.both_ways import WAYS, DjangoAlone
from tests.conftest import using
from tests.patience import eventually
from tests.valkey import PASSWORD, Valkey, running_valkey

PLACED = {"event_type": "order-placed", "order_id": 7}
KEY = {"idempotency-key": "order-7"}
NOT_DURABLE = "urn:synapse:problem:not-durable"


@contextmanager
def a_replica_of(primary: Valkey) -> Iterator[Valkey]:
    options = ("--replicaof", "127.0.0.1", str(primary.port), "--masterauth", PASSWORD)
    # Without a delay: the replica of a test has nothing to wait for.
    with primary.client() as client:
        client.config_set("repl-diskless-sync-delay", "0")
    with running_valkey(*options) as replica:
        with primary.client(single_connection_client=True) as client:
            eventually(lambda: client.set("arranged", 1) and client.wait(1, 100))
        yield replica


@contextmanager
def little_patience() -> Iterator[None]:
    """Replicas that are not there are waited for for a moment; those that are, as long as it takes."""
    with patch("streams.snapshot.patience_of", lambda _: timedelta(seconds=0.4)):
        holder.forget()
        yield
    holder.forget()


@contextmanager
def frozen(server: Valkey) -> Iterator[None]:
    with server.frozen(), little_patience():
        yield


@pytest.fixture(params=WAYS, ids=lambda way: way.name)
def ask(request, db):
    way = request.param()
    yield way
    way.close()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Valkey, Valkey]]:
    with (
        running_valkey("--appendonly", "yes", "--appendfsync", "everysec") as primary,
        a_replica_of(primary) as replica,
    ):
        yield primary, replica


@pytest.fixture
def primary(pair, settings) -> Iterator[Valkey]:
    with using(pair[0], settings), pair[0].client() as client:
        client.flushall()
        yield pair[0]


@pytest.fixture
def replica(pair, primary) -> Valkey:
    return pair[1]


@pytest.fixture
def orders(define, primary):
    return define("orders", {"order-placed": None}, durability="replicated")


def post(ask, events, path="/events/orders", headers=KEY):
    return ask("POST", path, orjson.dumps(events), headers)


class TestReplicated:
    def test_an_event_that_the_replica_has_is_stored(self, orders, ask, replica):
        answer = post(ask, PLACED)

        assert answer.status == 201
        assert replica.client().xrange("orders")[0][0].decode() == answer.json["id"]

    def test_while_the_replica_is_frozen_the_answer_is_503_with_the_id(self, orders, ask, primary, replica):
        with frozen(replica):
            answer = post(ask, PLACED)

        ((entry_id, _),) = primary.client().xrange("orders")
        assert (answer.status, answer.json["type"]) == (503, NOT_DURABLE)
        assert (answer.json["id"], answer.json["wanted"], answer.json["got"]) == (entry_id.decode(), 1, 0)
        assert answer.headers["retry-after"] == "1"
        assert "same Idempotency-Key" in answer.json["detail"]

    def test_a_duplicate_waits_for_the_replica_too(self, orders, ask, primary, replica):
        first = post(ask, PLACED)
        with frozen(replica):
            in_doubt = post(ask, PLACED)
        again = post(ask, PLACED)

        assert (first.status, in_doubt.status, again.status) == (201, 503, 200)
        assert (in_doubt.json["id"], again.json["id"]) == (first.json["id"], first.json["id"])
        assert primary.client().xlen("orders") == 1

    def test_an_event_whose_durability_is_in_doubt_is_counted_once(self, orders, ask, replica):
        with frozen(replica):
            post(ask, PLACED)
        post(ask, PLACED)

        background_tasks.flush_counters()
        counters = ask("GET", "/streams/orders").json["counters"]
        assert (counters["published"], counters["duplicates"]) == (1, 1)

    def test_without_a_key_it_is_said_that_sending_again_may_store_it_twice(self, orders, ask, replica):
        with frozen(replica):
            answer = post(ask, PLACED, headers={})

        assert answer.status == 503
        assert "a second time" in answer.json["detail"]

    @pytest.mark.parametrize("headers", [{}, KEY], ids=["without a key", "with a key"])
    @pytest.mark.parametrize("path", ["/events/orders", "/events/orders?atomic=true"])
    def test_a_batch_waits_too(self, orders, ask, primary, replica, headers, path):
        with frozen(replica):
            in_doubt = post(ask, [PLACED, PLACED], path, headers)

        ids = [entry_id.decode() for entry_id, _ in primary.client().xrange("orders")]
        assert (in_doubt.status, in_doubt.json["type"]) == (503, NOT_DURABLE)
        assert [result["status"] for result in in_doubt.json["results"]] == ["aborted", "aborted"]
        assert [result["errors"][0]["id"] for result in in_doubt.json["results"]] == ids
        assert "id" not in in_doubt.json

        again = post(ask, [PLACED, PLACED], path, headers)
        assert again.status == 200
        assert primary.client().xlen("orders") == (2 if headers else 4)

    def test_more_replicas_than_there_are_are_never_enough(self, orders, ask, define):
        define("orders", durability="replicated", replicas=2)

        with little_patience():
            answer = post(ask, PLACED)

        assert (answer.status, answer.json["wanted"], answer.json["got"]) == (503, 2, 1)

    def test_a_script_that_the_server_forgot_is_waited_for_when_it_ran(self, orders, ask, primary, replica):
        post(ask, PLACED)
        primary.client().script_flush()

        with frozen(replica):
            answer = post(ask, PLACED, headers={"idempotency-key": "another"})

        assert (answer.status, answer.json["type"]) == (503, NOT_DURABLE)

    def test_an_event_that_is_refused_is_refused_as_ever(self, orders, ask):
        post(ask, PLACED)

        answer = post(ask, {**PLACED, "order_id": 8})

        assert answer.status == 422

    def test_other_streams_do_not_wait(self, orders, ask, define, replica):
        define("clicks")

        with frozen(replica):
            assert post(ask, PLACED, "/events/clicks").status == 201


class TestLocal:
    @pytest.fixture
    def old_server(self, settings):
        with running_valkey("--rename-command", "WAITAOF", "") as server, using(server, settings):
            yield server

    def test_an_event_is_on_the_disk_when_it_is_answered(self, primary, define, ask, monkeypatch):
        monkeypatch.setattr(snapshot, "_PATIENCE_FOR_DISK", timedelta(seconds=45))
        define("orders", durability="local")

        answer = post(ask, PLACED)

        assert answer.status == 201
        assert answer.json["id"]

    def test_a_server_without_an_append_only_file_says_so(self, redis, define, ask):
        define("orders", durability="local")

        answer = post(ask, PLACED)

        assert (answer.status, answer.json["type"]) == (503, NOT_DURABLE)
        assert (answer.json["wanted"], answer.json["got"]) == (1, 0)
        assert "appendonly" in answer.json["detail"]
        assert redis.xlen("orders") == 1

    def test_a_server_that_does_not_know_the_command_says_so(self, old_server, define, ask):
        define("orders", durability="local")

        answer = post(ask, PLACED)

        assert (answer.status, answer.json["type"]) == (503, NOT_DURABLE)
        assert "unknown command" in answer.json["detail"]


def waits_counted_by(server: Valkey) -> int:
    return int(server.client().info("commandstats").get("cmdstat_wait", {}).get("calls", 0))


def test_concurrent_publishes_share_a_durability_wait(orders, primary):
    way = WAYS[0]()
    sent = {"host": "localhost", "content-type": "application/json"}
    before = waits_counted_by(primary)

    async def publish():
        body = orjson.dumps(PLACED)
        return await asyncio.gather(*(way.ask("POST", "/events/orders", body, sent) for _ in range(100)))

    answers = way.run(publish())
    way.close()

    assert {answer.status for answer in answers} == {201}
    assert primary.client().xlen("orders") == 100
    assert waits_counted_by(primary) - before <= 2


def test_concurrent_publishers_wait_together_for_a_frozen_replica(orders, primary, replica):
    way = WAYS[0]()
    sent = {"host": "localhost", "content-type": "application/json"}

    async def publish():
        body = orjson.dumps(PLACED)

        async def one(delay):
            await asyncio.sleep(delay)
            answer = await way.ask("POST", "/events/orders", body, sent)
            return answer.json["type"]

        return await asyncio.gather(*(one(number / 100) for number in range(50)))

    before = waits_counted_by(primary)
    with frozen(replica):
        answers = way.run(publish())
    way.close()

    assert set(answers) == {NOT_DURABLE}
    assert waits_counted_by(primary) - before < 25


def test_a_publisher_that_goes_away_does_not_cancel_the_publish_of_another(orders, primary):
    way = WAYS[0]()
    sent = {"host": "localhost", "content-type": "application/json"}

    async def publish():
        body = orjson.dumps(PLACED)
        await way.ask("POST", "/events/orders", body, sent)
        gone = asyncio.create_task(way.ask("POST", "/events/orders", body, sent))
        stays = asyncio.create_task(way.ask("POST", "/events/orders", body, sent))
        await asyncio.sleep(0)
        gone.cancel()
        return await stays

    assert way.run(publish()).status == 201
    way.close()


def test_the_fast_path_and_django_answer_alike(orders, primary, replica):
    express = WAYS[0]()

    with frozen(replica):
        answers = [post(express, PLACED), post(DjangoAlone(), PLACED)]
    express.close()

    assert answers[0].json == answers[1].json
    assert answers[0].headers["retry-after"] == answers[1].headers["retry-after"]
