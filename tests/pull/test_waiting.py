"""Long polls: on the event loop, woken by the one read loop of their stream, and gone with their caller."""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import orjson
import pytest

from bridges.api import pull
from streams.connections import tails
from synapse.pull.cache import memory
from synapse.redis import keyspace
from tests.patience import eventually
from tests.pull.cast import GROUP, PLACE, STREAM


def body(name="worker-1", **members):
    return {"stream": STREAM, "consumer_group": GROUP, "consumer_name": name, "block_ms": 30_000, **members}


def waiting():
    """How many wait."""
    return len(memory()._groups[PLACE].bells)


def read(server, name="worker-1", **members):
    answer = httpx.post(f"{server.url}/v1/read", json=body(name, **members), timeout=90)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"]


@pytest.fixture
def pool():
    with ThreadPoolExecutor(60) as threads:
        yield threads


def test_a_publish_wakes_waiting_readers(server, pool, monkeypatch):
    monkeypatch.setattr(pull, "LOOK_EVERY", 600.0)  # so that only being woken makes one look
    for n in range(5):
        found = pool.submit(read, server)
        eventually(lambda: waiting() == 1)
        (id_,) = server.publish(n)
        (event,) = found.result(60)
        assert event["entry_id"] == id_


def test_fifty_waiting_readers_share_one_read_loop_and_take_each_event_once(server, pool, redis):
    found = [pool.submit(read, server, f"w{n}", count=1) for n in range(50)]
    eventually(lambda: waiting() == 50)
    blocked = eventually(lambda: [row for row in redis.client_list() if "b" in row["flags"]])
    assert [row["cmd"] for row in blocked] == ["xread"]
    assert len(tails()._tails) == 1

    ids = server.publish(*range(50))

    assert sorted(event["entry_id"] for one in found for event in one.result(60)) == sorted(ids)
    assert redis.xpending(STREAM, GROUP)["pending"] == 50


def test_a_read_of_an_empty_stream_returns_no_events_after_block_ms(server):
    began = time.monotonic()

    assert read(server, block_ms=300) == []

    assert time.monotonic() - began >= 0.3


def test_a_client_that_leaves_while_waiting_takes_no_event(server, redis):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("POST", "/v1/read", orjson.dumps(body()), {"Content-Type": "application/json"})
    eventually(lambda: waiting() == 1)

    connection.close()

    eventually(lambda: waiting() == 0)
    ids = server.publish(1, 2)
    assert [event["entry_id"] for event in read(server, "other")] == ids
    assert [event["attempt"] for event in read(server, "third", block_ms=0)] == []


def test_events_leased_for_a_client_that_left_meanwhile_are_released(server, redis, monkeypatch):
    # It leaves between the look and the answer: the look itself sees to that here.
    left = threading.Event()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    (id_,) = server.publish(1)

    original = pull._Poll._take_events

    async def look(poll):
        found = await original(poll)
        if found.held and not left.is_set():
            left.set()
            poll._caller.record_disconnect()
        return found

    monkeypatch.setattr(pull._Poll, "_take_events", look)
    connection.request("POST", "/v1/read", orjson.dumps(body()), {"Content-Type": "application/json"})
    assert left.wait(60)

    (event,) = read(server, "other")

    assert (event["entry_id"], event["attempt"]) == (id_, 1)
    connection.close()


def test_a_nacked_event_wakes_waiting_readers(server, pool):
    (id_,) = server.publish(1)
    read(server, "first")
    found = pool.submit(read, server, "second")
    eventually(lambda: waiting() == 1)

    httpx.post(
        f"{server.url}/v1/nack",
        json={"stream": STREAM, "consumer_group": GROUP, "entry_ids": [id_], "delay_ms": 0},
    )

    (event,) = found.result(60)
    assert (event["entry_id"], event["attempt"]) == (id_, 2)


def test_an_event_whose_retry_wait_ends_is_given_to_a_waiting_reader(server, pool):
    (id_,) = server.publish(1)
    read(server, "first")
    httpx.post(
        f"{server.url}/v1/nack",
        json={"stream": STREAM, "consumer_group": GROUP, "entry_ids": [id_], "delay_ms": 400},
    )

    (event,) = read(server, "second")

    assert event["attempt"] == 2


def test_a_server_that_stops_answers_waiting_readers(server, pool):
    found = pool.submit(read, server)
    eventually(lambda: waiting() == 1)

    server.stop()

    assert found.result(60) == []


def test_redis_that_goes_ends_the_wait_with_a_problem_and_loses_nothing(server, pool, redis, valkey_of_session):
    found = pool.submit(httpx.post, f"{server.url}/v1/read", json=body(), timeout=90)
    eventually(lambda: waiting() == 1)
    redis.set("held", 1)
    redis.rename("held", STREAM)

    answer = found.result(60)

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:synapse:problem:not-a-stream")
    assert redis.exists(keyspace.waiting(*PLACE)) == 0
