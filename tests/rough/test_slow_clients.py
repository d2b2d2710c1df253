"""Clients that are slow, silent, or gone: the server's own limits end them, and no other client waits meanwhile.

Those that wait for a limit are for the full run: tests/front_door/test_limits.py and test_late_takers.py end
connections by the same limits, without a server.
"""

import errno
import itertools
import socket
import time
from contextlib import suppress

import httpx
import orjson
import pytest

from tests.connection import request
from tests.patience import eventually
from tests.rough.load import crowd
from tests.rough.server import running_synapse

# The limits are no settings. A second and a half of them takes less time than their 10 and 30.
HASTY = """
import django, sys
django.setup()
from django.core.management import execute_from_command_line
from synapse.server import http_protocol
http_protocol.MAX_HEAD_SECONDS = http_protocol.MAX_BODY_SECONDS = http_protocol.MAX_STALL_SECONDS = 1.5
execute_from_command_line(["manage.py", "serve"])
"""
PACE = 0.01
JSON = "content-type: application/json"
MIB = 1024 * 1024
numbers = itertools.count(-1, -1)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server that has less patience."""
    with running_synapse(tmp_path_factory.mktemp("hasty"), program=("-c", HASTY)) as running:
        yield running


@pytest.fixture
def others(hasty):
    """Publishers beside the slow clients; in the end all of them were answered, and all is stored."""
    with crowd(hasty, 8) as publishers:
        publishers.more(1)
        yield publishers
        publishers.more(100)
    assert publishers.answers.keys() == {201}
    assert publishers.broken == 0
    publishers.check(hasty.stored())


@pytest.fixture
def slow(hasty, others, connect):
    return connect(hasty)


def publishing(number, *headers):
    return request("POST", "/events/orders", orjson.dumps({"event_type": "order-placed", "n": number}), JSON, *headers)


def ended(connection, data):
    """Send a byte at a time until the server closes the connection; return its answer."""
    for place in range(len(data)):
        try:
            connection.send(data[place : place + 1])
        except OSError:
            break
        time.sleep(PACE)  # what the client is like; nothing waits for it to be over
    else:
        pytest.fail("the server has taken it all")
    return rest_of(connection)


def rest_of(connection):
    try:
        return connection.rest()
    except ConnectionResetError:
        return b""


@pytest.mark.nightly
def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for(slow, hasty):
    number = next(numbers)

    assert ended(slow, publishing(number, f"x-filler: {'y' * 15_000}")) == b""
    assert number not in hasty.stored().values()


@pytest.mark.nightly
def test_a_body_that_comes_a_byte_at_a_time_is_not_waited_for(slow, hasty):
    number = next(numbers)
    head, _, body = publishing(number).partition(b"\r\n\r\n")
    slow.send(head.replace(b"content-length: ", b"content-length: 9") + b"\r\n\r\n")

    # The refusal is lost when a byte comes after it: the system answers that one with a reset.
    assert ended(slow, body + b" " * 100_000)[:12] in {b"HTTP/1.1 408", b""}
    assert number not in hasty.stored().values()


@pytest.mark.nightly
def test_a_body_that_stops_in_the_middle_is_refused(slow, hasty):
    number = next(numbers)
    slow.send(publishing(number)[:-5])

    assert slow.answer()[0] == 408
    assert slow.is_closed()
    assert number not in hasty.stored().values()


def test_a_request_that_stops_midway_leaves_earlier_requests_their_answers(slow, hasty):
    first, second = next(numbers), next(numbers)
    slow.send(publishing(first) + publishing(second)[:-5])

    assert [slow.answer()[0], slow.answer()[0]] == [201, 408]
    stored = hasty.stored().values()
    assert first in stored
    assert second not in stored


@pytest.mark.parametrize("length", ["content-length: 1000", "transfer-encoding: chunked"])
def test_an_event_whose_body_is_incomplete_is_not_stored(slow, hasty, length):
    number = next(numbers)
    body = orjson.dumps({"event_type": "order-placed", "n": number})
    part = body if "content-length" in length else b"%x\r\n%s\r\n" % (len(body), body)
    slow.send(f"POST /events/orders HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\n{length}\r\n\r\n".encode() + part)
    slow.socket.shutdown(socket.SHUT_WR)

    assert slow.is_closed()
    assert number not in hasty.stored().values()


def test_a_client_that_closed_its_sending_side_still_gets_its_answers(slow, hasty):
    first, second = next(numbers), next(numbers)
    slow.send(publishing(first) + request("GET", "/streams/orders") + publishing(second) + publishing(0)[:-5])
    slow.socket.shutdown(socket.SHUT_WR)

    assert [slow.answer()[0] for _ in range(3)] == [201, 200, 201]
    assert slow.is_closed()
    assert {first, second} <= set(hasty.stored().values())


@pytest.mark.nightly
def test_a_connection_that_sends_only_blank_lines_after_a_request_is_closed(slow):
    slow.send(publishing(next(numbers)))
    assert slow.answer()[0] == 201

    slow.send(b"\r\n")

    assert slow.is_closed()


@pytest.mark.nightly
def test_a_client_that_never_takes_its_answers_is_disconnected(hasty, others):
    large = {"event_type": "order-placed", "n": next(numbers), "texts": ["x" * 1000] * 200}
    id_ = httpx.post(f"{hasty.url}/events/orders", json=large).json()["id"]
    before = hasty.memory()
    with socket.socket() as idle:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect(("127.0.0.1", hasty.port))
        idle.setblocking(False)
        asked = request("GET", f"/streams/orders/messages?since={id_}&until={id_}", b"", f"x-filler: {'y' * 2000}")
        with suppress(BlockingIOError):  # by then the server reads no more
            while True:
                idle.send(asked * 100)
        others.more(100)

        # What we have sent and it has not read is answered with a reset.
        assert eventually(lambda: idle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == errno.ECONNRESET

    # No more than what lies between Redis and one connection: a few answers, and its buffer.
    assert hasty.memory() - before < 30 * MIB
