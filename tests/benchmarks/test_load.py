"""The load generators: requests as they go over the wire, and times from when an event was due."""

import asyncio
import json
from types import SimpleNamespace

import pytest

from benchmarks.load import live_client, steady_client
from benchmarks.load.asyncio_client import numbered, request_bytes
from benchmarks.load.live_client import Count, Times, Watcher
from benchmarks.load.values import NUMBER

CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
# Four events, a quarter of a second apart.
ORDER = {"stream": "orders", "rate": 4, "seconds": 1}


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self):
        self.now = 100.0

    def perf_counter(self):
        return self.now

    def monotonic_ns(self):
        return int(self.now * 1_000_000_000)


class Receiver:
    """Answers 201 to each request, and keeps the bodies. `held_up` is called before the first answer."""

    def __init__(self, held_up=lambda: None):
        self.bodies = []
        self._serving = []
        self._held_up = held_up

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        self._server.close()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader, writer):
        self._serving.append(asyncio.current_task())
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length:")[2].split()[0])
                body = json.loads(await reader.readexactly(length))
                if not self.bodies:
                    self._held_up()
                self.bodies.append(body)
                writer.write(CREATED)
        except asyncio.IncompleteReadError:
            writer.close()
            await writer.wait_closed()


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(live_client, "perf_counter", clock.perf_counter)
    monkeypatch.setattr(steady_client, "time", clock)
    return clock


def test_a_live_client_held_up_by_a_late_answer_notes_when_each_event_was_due(clock):
    def late():
        clock.now += 0.9

    async def publish(count):
        async with Receiver(held_up=late) as url:
            await live_client.publish({**ORDER, "url": url}, count)

    count = Count()
    asyncio.run(publish(count))

    assert count.sent == [100, 100.25, 100.5, 100.75]


def test_a_steady_client_that_was_held_up_sends_the_time_when_each_event_was_due(clock, monkeypatch):
    receiver = Receiver()
    moments = iter([100.0])
    monkeypatch.setattr(clock, "monotonic_ns", lambda: int(next(moments, 100.9) * 1_000_000_000))

    async def publish():
        async with receiver as url:
            return await steady_client.publish({**ORDER, "url": f"{url}/events/orders"})

    found = asyncio.run(publish())

    sent = sorted(int(body["correlation_id"]) for body in receiver.bodies)
    assert sent == [100_000_000_000, 100_250_000_000, 100_500_000_000, 100_750_000_000]
    assert (found["sent"], found["stored"]) == (4, 4)
    assert found["late_ms"] == 150


class TestTimes:
    @pytest.mark.parametrize(("share", "milliseconds"), [(0.5, 50), (0.99, 99), (1, 100)])
    def test_a_share_of_the_events_took_so_long_at_the_most(self, share, milliseconds):
        times = Times()
        for number in range(1, 101):
            times.add(number / 1000 - 0.00005)

        assert times.part(share) == milliseconds

    def test_percentiles_without_measurements_are_zero(self):
        assert Times().part(0.5) == 0

    def test_times_beyond_the_scale_count_as_the_longest(self):
        times = Times()
        times.add(10_000)

        assert times.part(1) == 60_000


class TestWhoWatches:
    @staticmethod
    def frame(number):
        event = f'"event":{{"event_type":"inference-complete","request_id":"req_{number}"}}'
        return f"id: {number}\ndata: {{{event}}}\n\n".encode()

    def watched(self, *pieces):
        async def receive():
            watcher = Watcher(b"GET", count)
            watcher.connection_made(SimpleNamespace(write=lambda _: None))
            for piece in pieces:
                watcher.data_received(piece)
            return watcher.began.done()

        count = Count(sent=[0.0] * 3)
        began = asyncio.run(receive())
        return count, began

    def test_frames_are_counted_however_they_are_cut(self):
        whole = b": hello\n\n" + b"".join(self.frame(number) for number in range(3))

        for cut in range(len(whole) + 1):
            count, began = self.watched(whole[:cut], whole[cut:])
            assert (count.times.count, count.out_of_order, began) == (3, 0, True)

    def test_a_missing_or_repeated_event_counts_as_out_of_order(self):
        assert self.watched(self.frame(0), self.frame(2))[0].out_of_order == 1
        assert self.watched(self.frame(0), self.frame(0))[0].out_of_order == 1


def test_a_request_to_publish_has_its_body_and_its_key():
    order = {"url": "http://host:1/events/orders?a=b", "method": "POST", "kind": "text/json", "key": "secret"}

    assert request_bytes({**order, "body": "{}"}) == (
        b"POST /events/orders?a=b HTTP/1.1\r\nHost: host:1\r\nAuthorization: Bearer secret\r\n"
        b"Content-Type: text/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_request_with_a_number_in_its_idempotency_key_has_another_key_each_time():
    order = {"url": "http://host:1/", "method": "POST", "kind": "a/b", "body": "{}", "idempotency_key": NUMBER}
    requests = numbered(request_bytes(order))

    keys = [next(requests).partition(b"\r\nIdempotency-Key: ")[2].partition(b"\r\n")[0] for _ in range(3)]

    assert len(set(keys)) == 3
    assert {len(key) for key in keys} == {len(NUMBER)}


def test_a_request_to_read_has_neither():
    order = {"url": "http://host:1/health", "method": "GET", "body": "", "kind": "application/json", "key": ""}

    assert request_bytes(order) == b"GET /health HTTP/1.1\r\nHost: host:1\r\n\r\n"


def test_a_request_with_a_number_is_another_one_each_time_and_as_long():
    order = {"url": "http://127.0.0.1/", "method": "POST", "kind": "a/b", "body": f'{{"id":"{NUMBER}"}}'}
    requests = numbered(request_bytes(order))

    sent = [next(requests) for _ in range(3)]

    assert len(set(sent)) == 3
    assert {len(request) for request in sent} == {len(request_bytes(order))}


def test_a_request_without_a_number_is_sent_as_it_is():
    requests = numbered(b"GET / HTTP/1.1\r\n\r\n")

    assert [next(requests), next(requests)] == [b"GET / HTTP/1.1\r\n\r\n"] * 2
