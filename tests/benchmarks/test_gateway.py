"""The clients of the benchmark of many streams, on values."""

import asyncio
from argparse import Namespace
from types import SimpleNamespace

import pytest

from benchmarks.gateway import _faults
from benchmarks.load.gateway_client import Count, EventSource

OPENING = b"retry: 1000\nid: v1~a0~b0\n\n"


def frame(stream, number):
    data = f'{{"stream":"{stream}","id":"1-{number}","data":{{"event_type":"a","request_id":"req_{number}"}}}}'
    return f"id: v1~{stream}{number}\ndata: {data}\n\n".encode()


def watched(*pieces, broken_after=None):
    """Return the counts, and what a connection sent."""
    sent = []

    async def receive():
        socket = EventSource("http://host:1", ["a", "b"], count)
        socket.connection_made(SimpleNamespace(write=sent.append))
        for number, piece in enumerate(pieces):
            socket.data_received(piece)
            if number == broken_after:
                count.breaks += 1
                socket.connection_made(SimpleNamespace(write=sent.append))

    count = Count(sent={"a": [0.0] * 3, "b": [0.0] * 3})
    asyncio.run(receive())
    return count, b"".join(sent)


def test_frames_of_all_streams_are_counted_however_they_are_cut():
    whole = OPENING + frame("a", 0) + frame("b", 0) + b": heartbeat\nid: v1~a0~b0\n\n" + frame("a", 1)

    for cut in range(len(whole) + 1):
        count, _ = watched(whole[:cut], whole[cut:])
        assert (count.received, count.out_of_order) == (3, 0)


@pytest.mark.parametrize("frames", [[("a", 0), ("a", 2)], [("a", 0), ("b", 0), ("a", 0)], [("b", 1)]])
def test_a_missing_or_repeated_event_of_a_stream_counts_as_out_of_order(frames):
    assert watched(OPENING, *(frame(*each) for each in frames))[0].out_of_order == 1


def test_a_connection_that_breaks_comes_back_with_its_last_position():
    count, sent = watched(OPENING + frame("a", 0), OPENING + frame("a", 1), broken_after=0)

    assert sent.count(b"GET /live?stream=a&stream=b HTTP/1.1\r\n") == 2
    assert sent.endswith(b"Last-Event-ID: v1~a0\r\n\r\n")
    assert (count.received, count.out_of_order) == (2, 0)


def test_lost_events_late_ones_and_growing_memory_are_faults():
    good = {"received": 20, "published": 10, "out_of_order": 0, "steady_p99_ms": 99.0}
    sockets = Namespace(sockets=2)

    assert _faults(good, sockets, [100.0, 105.0]) == []
    assert len(_faults({**good, "received": 19}, sockets, [100.0, 105.0])) == 1
    assert len(_faults({**good, "out_of_order": 1, "steady_p99_ms": 101.0}, sockets, [100.0, 120.0])) == 3
