"""Requests that are sent before the earlier ones are answered: answered in their order, each with its own answer."""

import secrets
import socket
import struct

import orjson
import pytest

from tests.connection import request
from tests.rough.load import crowd

JSON = "content-type: application/json"


def publishing(number, *headers, thousands=0):
    body = orjson.dumps({"event_type": "order-placed", "n": number, "texts": ["x" * 1000] * thousands})
    return request("POST", "/events/orders", body, JSON, *headers)


def numbers_of(synapse, ids):
    stored = synapse.stored()
    return [stored[id_] for id_ in ids]


@pytest.mark.parametrize("count", [2, 50])
def test_each_gets_its_own_answer_in_its_turn(synapse, connection, count):
    connection.send(b"".join(publishing(number) for number in range(count)))

    answers = [connection.answer() for _ in range(count)]

    assert [status for status, _, _ in answers] == [201] * count
    ids = [orjson.loads(body)["id"] for _, _, body in answers]
    assert numbers_of(synapse, ids) == list(range(count))


def of_all_kinds(number):
    """Return requests that go different ways, and the status of each answer."""
    return [
        (publishing(number), 201),
        # Refused by its contract; large enough to be read in a thread; answered by Django.
        (publishing(f"no number {number}"), 422),
        (publishing(number, thousands=200), 201),
        (request("GET", "/streams/orders"), 200),
        (publishing(number, f"idempotency-key: {secrets.token_hex(4)}"), 201),
        (request("GET", "/healthz"), 200),
        (request("POST", "/events/orders", b"{", JSON), 400),
        (request("GET", f"/streams/none-{number}/info"), 404),
    ]


def test_mixed_ways_sizes_and_refusals_keep_their_order(synapse, connection):
    sent = [(number, data, status) for number in range(6) for data, status in of_all_kinds(number)]
    with crowd(synapse, 4) as others:
        others.more(1)
        connection.send(b"".join(data for _, data, _ in sent))
        answers = [connection.answer() for _ in sent]
        others.more(50)

    assert [status for status, _, _ in answers] == [status for _, _, status in sent]
    ids = [orjson.loads(body)["id"] for status, _, body in answers if status == 201]
    assert numbers_of(synapse, ids) == [number for number, _, status in sent if status == 201]
    assert others.answers.keys() == {201}


def test_as_many_as_fill_many_pieces_are_no_head_that_is_too_large(connection):
    """The pieces end within a head: what came with them of earlier requests is not part of it."""
    data = b"".join(publishing(number, f"x-filler: {'y' * 1500}") for number in range(500))
    for place in range(0, len(data), 50_000):
        connection.send(data[place : place + 50_000])

    assert [connection.answer()[0] for _ in range(500)] == [201] * 500


def test_requests_after_connection_close_are_ignored(synapse, connection):
    before = len(synapse.stored())
    connection.send(publishing(1) + publishing(2, "connection: close") + publishing(3))

    answers = [connection.answer(), connection.answer()]

    assert [status for status, _, _ in answers] == [201, 201]
    assert connection.is_closed()
    assert len(synapse.stored()) == before + 2


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"\x00\x01 this is no request\r\n\r\n", 400),
        (b"POST /events/orders HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nno length\r\n", 400),
    ],
    ids=["a head that is too large", "no request", "a chunk without a length"],
)
def test_a_malformed_request_is_refused_after_the_earlier_answers(synapse, connection, bad, status):
    connection.send(publishing(1) + publishing(2) + request("GET", "/streams/orders") + bad)

    answers = [connection.answer() for _ in range(4)]

    assert [status for status, _, _ in answers] == [201, 201, 200, status]
    assert connection.is_closed()
    assert numbers_of(synapse, [orjson.loads(body)["id"] for _, _, body in answers[:2]]) == [1, 2]


@pytest.mark.parametrize("reset", [False, True], ids=["closes", "resets"])
def test_a_client_that_leaves_amid_pipelined_requests_does_not_affect_others(synapse, connect, reset):
    logged = synapse.machines.log.read_text()
    many = b"".join(publishing(number) + request("GET", "/streams/orders") for number in range(25))
    with crowd(synapse, 4) as others:
        for _ in range(30):
            gone = connect(synapse)
            gone.send(many + publishing(25)[:-5])
            gone.answer()
            if reset:
                gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.close()
        others.more(100)

    assert others.answers.keys() == {201}
    assert others.broken == 0
    assert synapse.machines.log.read_text() == logged
