"""A watcher that reads too slowly is dropped, without effect on the others."""

import socket

import pytest

from streams.connections import tails
from synapse.live import watcher
from synapse.server import http_protocol
from tests.live.server import watching
from tests.patience import eventually

LARGE = "x" * 50_000
# More of them than the kernel keeps for a connection, and the server for its watcher.
ENOUGH = 120


@pytest.fixture
def slow(server, monkeypatch):
    """A watcher that requests the stream, and reads nothing until told to."""
    monkeypatch.setattr(http_protocol, "MAX_STALL_SECONDS", 600)
    monkeypatch.setattr(watcher, "MOST_WAITING_BYTES", 1024 * 1024)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(b"GET /streams/orders/live HTTP/1.1\r\nhost: localhost\r\n\r\n")
    eventually(lambda: server.watching() == 1)
    yield connection
    connection.close()


def read_to_the_end(connection):
    parts = []
    while not (parts and parts[-1].endswith(b"0\r\n\r\n")):
        part = connection.recv(1 << 20)
        assert part
        parts.append(part)
    return b"".join(parts)


def fill(redis, count, *, read_by=None):
    """Store large events; `read_by` gets each before the next is stored."""
    for number in range(count):
        redis.xadd("orders", {"event": "order-placed", "n": number, "text": LARGE})
        if read_by:
            assert read_by.numbers(1) == [number]


def test_a_slow_watcher_is_dropped_with_the_id_to_resume_from(server, redis, slow):
    with watching(server.live()) as quick:
        fill(redis, ENOUGH, read_by=quick)
        answer = read_to_the_end(slow)

    lines = answer.split(b"\n")
    assert b"event: dropped" in lines
    last_sent = [line[4:].decode() for line in lines if line.startswith(b"id: ")][-1]
    data = lines[lines.index(b"event: dropped") + 1]
    assert f'"reason":"slow","last_event_id":"{last_sent}"'.encode() in data
    sent = sum(line.startswith(b'data: {"id"') for line in lines)
    with watching(server.live(), last_id=last_sent) as back:
        assert back.numbers(ENOUGH - sent) == list(range(sent, ENOUGH))


def test_the_frames_waiting_for_a_slow_watcher_are_bounded(server, redis, slow):
    with watching(server.live()) as quick:
        fill(redis, ENOUGH, read_by=quick)

        (tail,) = tails()._tails.values()
        waiting = [sum(len(frame.body) for frame in found._watcher._waiting) for found in tail._watchers]
    assert max(waiting) <= watcher.MOST_WAITING_BYTES


def test_a_watcher_that_never_reads_is_disconnected(server, redis, slow, monkeypatch):
    monkeypatch.setattr(http_protocol, "MAX_STALL_SECONDS", 0.3)

    fill(redis, ENOUGH)

    eventually(lambda: server.watching() == 0)


def test_a_watcher_that_catches_up_slowly_is_not_dropped(server, redis):
    fill(redis, 100)

    with watching(server.live(), last_id="0") as watch:
        first = watch.numbers(1)
        fill_more = 60
        for number in range(100, 100 + fill_more):
            redis.xadd("orders", {"event": "order-placed", "n": number, "text": LARGE})

        assert first + watch.numbers(159) == list(range(160))
