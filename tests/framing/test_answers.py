"""Each request has one answer: also one that is refused by its head, and one that waits to be asked for its body."""

import pytest

from synapse.server.fast_path import DirectCycle
from synapse_project.front_door import FrontDoor
from tests.connection import Connection
from tests.framing.shapes import HOST, JSON, OFFERS, by_chunks, event, publish

PUBLISH = b"POST /events/orders HTTP/1.1\r\n" + HOST + JSON
# Refused by its length, on the fast path and by the front door.
TOO_LARGE = {
    "on the fast path": b"POST /events/orders HTTP/1.1\r\nContent-Length: 99999999\r\n" + HOST + JSON,
    "by the front door": b"POST /nowhere HTTP/1.1\r\nContent-Length: 99999999\r\n" + HOST + JSON,
}


@pytest.fixture
def connection(server):
    client = Connection(server.port)
    yield client
    client.close()


@pytest.mark.parametrize("host", [b"Host: elsewhere\r\n", HOST])
def test_a_request_with_a_bad_body_is_answered_once_also_when_it_was_refused_by_its_head(connection, host):
    head = PUBLISH.replace(HOST, host) + b"Transfer-Encoding: chunked\r\n\r\n"

    connection.send(head)
    answers = [connection.answer()[0]] if host != HOST else []
    connection.send(b"no size\r\n" + publish(1))
    if host == HOST:
        answers.append(connection.answer()[0])

    assert answers == [400]
    assert connection.is_closed()


@pytest.mark.parametrize("way", TOO_LARGE)
def test_a_refusal_in_place_of_100_continue_ends_the_connection(connection, way):
    connection.send(TOO_LARGE[way] + b"Expect: 100-continue\r\n\r\n")

    status, headers, _ = connection.answer()

    assert (status, headers["connection"]) == (413, "close")
    assert connection.is_closed()


def test_a_request_that_waits_for_100_continue_is_asked_for_its_body_and_answered(connection):
    body = event(1)
    connection.send(PUBLISH + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(body))
    asked = connection.answer()[0]
    connection.send(body + publish(2))

    assert [asked, connection.answer()[0], connection.answer()[0]] == [100, 201, 201]


@pytest.mark.parametrize("target", [b"/events/orders", b"/nowhere"])
def test_a_client_of_http_1_0_is_not_asked_for_a_body_that_it_waits_with(connection, target):
    head = PUBLISH.replace(b"1.1", b"1.0").replace(b"/events/orders", target)

    connection.send(head + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n{}")

    assert connection.answer()[0] in (404, 422)
    assert connection.is_closed()


def test_a_connection_reads_nothing_behind_a_request_of_http_1_0(connection, redis):
    connection.send(publish(1).replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n") + publish(2))

    assert connection.answer()[0] == 201
    assert connection.is_closed()
    assert redis.xlen("orders") == 1


def test_a_request_behind_the_last_one_of_a_connection_is_not_even_begun(connection, server, monkeypatch):
    begun, answer = [], FrontDoor._answer
    monkeypatch.setattr(
        FrontDoor, "_answer", lambda door, scope, *how: begun.append(scope) or answer(door, scope, *how)
    )
    # Answered at once, so that the next one need not wait for its turn.
    last = PUBLISH.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\nContent-Length: 1\r\n\r\n{"
    other = Connection(server.port)

    connection.send(last + b"GET /streams/nowhere/live HTTP/1.1\r\n" + HOST + b"\r\n")
    status, closed = connection.answer()[0], connection.is_closed()
    other.send(b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n")
    other.answer()
    other.close()

    assert (status, closed) == (400, True)
    assert [scope["path"] for scope in begun] == ["/readyz"]


def test_a_head_that_offers_an_upgrade_is_remembered_with_the_offer_and_served_each_time(
    connection, redis, monkeypatch
):
    parsed, begin = [], DirectCycle.__init__
    monkeypatch.setattr(DirectCycle, "__init__", lambda *given: parsed.append(len(given) < 5) or begin(*given))
    with_offer = [publish(number).replace(HOST, HOST + OFFERS["h2c"]) for number in range(4)]
    without = [publish(number) for number in range(4, 8)]
    in_chunks = [b"%b%b%b\r\n%b" % (PUBLISH, OFFERS["h2c"], *by_chunks(event(number))) for number in range(8, 10)]

    answers = []
    for piece in [*with_offer, *without, *in_chunks, with_offer[0], without[0]]:
        connection.send(piece)
        answers.append(connection.answer()[0])

    assert answers == [201] * 12
    assert [int(fields[b"n"]) for _, fields in redis.xrange("orders")] == [*range(10), 0, 4]
    # The third and the fourth are like the second, byte for byte; so are those without an offer from the second on.
    assert parsed[:4] == [True, True, False, False]


def test_hundreds_of_offers_in_one_piece_are_each_answered(connection, redis):
    connection.send(b"".join(publish(number).replace(HOST, HOST + OFFERS["websocket"]) for number in range(300)))

    answers = [connection.answer()[0] for _ in range(300)]

    assert answers == [201] * 300
    assert redis.xlen("orders") == 300
