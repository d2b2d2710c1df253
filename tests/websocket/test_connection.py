"""Frames on a WebSocket connection, with a transport and a clock of the test's: good ones, and those that end it."""

import asyncio
from unittest import mock

import pytest
from uvicorn.server import ServerState

from synapse.server.client_connection import MAX_STALL_SECONDS, ClientConnection
from synapse.server.websocket import connection as websocket
from synapse.server.websocket.frame_limits import MAX_FRAGMENTS, MAX_MESSAGE_BYTES
from tests.front_door.test_limits import Clock
from tests.websocket.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Read, close, frame, head, read, text


class Peer:
    """A connection, and what its client sees of it. The coroutine that serves it is the test."""

    def __init__(self):
        self.clock = Clock()
        self.clock.create_future = asyncio.get_running_loop().create_future
        self.transport = mock.Mock(asyncio.Transport)
        self.transport.get_extra_info.return_value = None
        self.transport.is_closing.side_effect = lambda: self.transport.close.called or self.transport.abort.called
        before = ClientConnection(mock.Mock(), mock.Mock(), ServerState(), self.clock)
        before.connection_made(self.transport)
        self.connection = websocket.WebSocketConnection(before)
        self.connection.begin(self._serve, b"")
        self.is_reading = True
        self.transport.pause_reading.side_effect = lambda: setattr(self, "is_reading", False)
        self.transport.resume_reading.side_effect = lambda: setattr(self, "is_reading", True)

    async def _serve(self, _):
        """Do nothing."""

    def send(self, *pieces):
        for piece in pieces:
            self.connection.data_received(piece)

    @property
    def got(self):
        return list(read(b"".join(call.args[0] for call in self.transport.write.call_args_list)))

    async def messages(self, count):
        return [await self.connection.receive() for _ in range(count)]


@pytest.fixture
def run(monkeypatch):
    """Run a test's coroutine with a peer on an event loop, where a turn is long enough for all that is sent."""
    monkeypatch.setattr(websocket, "TURN", 60)

    def run(test):
        async def main():
            await asyncio.wait_for(test(Peer()), 10)

        asyncio.run(main())

    return run


def test_messages_arrive_in_their_order_however_they_are_cut(run):
    async def test(peer):
        sent = (
            text("one") + frame(TEXT, "zw€".encode()[:4], fin=False) + frame(PING, b"?") + frame(0, b"\xaco") + text("")
        )
        for piece in (sent[at : at + 1] for at in range(len(sent))):
            peer.send(piece)

        assert await peer.messages(3) == [b"one", "zw€o".encode(), b""]
        assert peer.got == [Read(PONG, b"?")]

    run(test)


BREACHES = {
    "a frame that is not masked": (frame(TEXT, b"{}", masked=False), 1002),
    "a reserved bit": (frame(TEXT, b"{}", bits=4), 1002),
    "an opcode that is none": (frame(3, b"{}"), 1002),
    "a control opcode that is none": (frame(11, b""), 1002),
    "a ping in fragments": (frame(PING, b"", fin=False), 1002),
    "a long ping": (frame(PING, b"x" * 126), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a message inside another": (frame(TEXT, b"x", fin=False) + text("y"), 1002),
    "a length in more bytes than it needs": (b"\x81\xfe\x00\x01\0\0\0\0x", 1002),
    "a negative length": (b"\x81\xff\xff\0\0\0\0\0\0\0\0\0\0\0", 1002),
    "a close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "a close with a code that nobody sends": (close(1006), 1002),
    "a close with a reason that is no text": (close(1000, b"\xff"), 1007),
    "bytes that are no UTF-8": (text(b"\xff"), 1007),
    "half a character at the end": (text("€".encode()[:2]), 1007),
    "a surrogate": (text(b"\xed\xa0\x80"), 1007),
    "a binary message": (frame(BINARY, b"{}"), 1003),
    "the beginning of a binary message": (frame(BINARY, b"{}", fin=False), 1003),
    "a frame that announces too much": (head(TEXT, MAX_MESSAGE_BYTES + 1), 1009),
    "a frame that announces everything": (head(TEXT, (1 << 63) - 1), 1009),
    "fragments that are too much together": (
        frame(TEXT, b"x" * MAX_MESSAGE_BYTES, fin=False) + head(CONTINUATION, 1),
        1009,
    ),
    "endless fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * MAX_FRAGMENTS, 1008),
}


def test_a_breach_ends_the_connection_with_the_code_of_its_kind(run):
    found = {}

    for name, (frames, _) in BREACHES.items():

        async def test(peer, name=name, frames=frames):
            peer.send(frames, text("never read"))

            found[name] = [each.code for each in peer.got]
            assert await peer.connection.receive() is None, name
            peer.clock.go_on(websocket.MAX_CLOSE_SECONDS)
            assert peer.transport.close.called, name

        run(test)

    assert found == {name: [code] for name, (_, code) in BREACHES.items()}


def test_the_largest_message_and_the_most_fragments_are_taken_again_and_again(run):
    async def test(peer):
        parts = [frame(TEXT, b"a", fin=False), *[frame(CONTINUATION, b"", fin=False)] * (MAX_FRAGMENTS - 2)]
        for _ in range(3):
            peer.send(text(b"x" * MAX_MESSAGE_BYTES), *parts, frame(PING), frame(CONTINUATION, b"b"))
            assert await peer.messages(2) == [b"x" * MAX_MESSAGE_BYTES, b"ab"]
        assert peer.got == [Read(PONG, b"")] * 3

    run(test)


def test_a_header_that_arrives_byte_by_byte_is_counted_once(run):
    async def test(peer):
        for _ in range(2):
            sent = text(b"x" * (MAX_MESSAGE_BYTES - 1))
            peer.send(*(sent[at : at + 1] for at in range(10)), sent[10:])
        assert [len(message) for message in await peer.messages(2)] == [MAX_MESSAGE_BYTES - 1] * 2

    run(test)


def test_a_client_that_sends_faster_than_it_is_answered_is_not_read(run):
    async def test(peer):
        peer.send(b"".join(text(f"{number}") for number in range(websocket.MAX_WAITING_MESSAGES * 3)))
        assert not peer.is_reading
        assert len(peer.connection._waiting) == websocket.MAX_WAITING_MESSAGES

        found = await peer.messages(websocket.MAX_WAITING_MESSAGES * 3)
        await asyncio.sleep(0)

        assert found == [b"%d" % number for number in range(websocket.MAX_WAITING_MESSAGES * 3)]
        assert peer.is_reading

    run(test)


def test_large_messages_that_wait_are_few(run):
    async def test(peer):
        peer.send(text(b"x" * MAX_MESSAGE_BYTES) * 5)
        assert not peer.is_reading
        assert len(peer.connection._waiting) == 1

        assert [len(message) for message in await peer.messages(5)] == [MAX_MESSAGE_BYTES] * 5
        await asyncio.sleep(0)
        assert peer.is_reading

    run(test)


def test_a_client_that_reads_no_answers_to_its_pings_is_not_read_and_then_cut_off(run):
    async def test(peer):
        peer.connection.pause_writing()
        peer.send(frame(PING) * 10_000)
        assert (peer.got, peer.is_reading) == ([], False)

        peer.clock.go_on(MAX_STALL_SECONDS)
        assert peer.transport.abort.called

    run(test)


def test_a_client_that_reads_again_is_read_again(run):
    async def test(peer):
        peer.connection.pause_writing()
        peer.send(frame(PING) * 3 + text("x"))
        peer.connection.resume_writing()

        assert peer.got == [Read(PONG, b"")] * 3
        assert await peer.messages(1) == [b"x"]
        peer.clock.go_on(MAX_STALL_SECONDS)
        assert not peer.transport.abort.called

    run(test)


def test_thousands_of_frames_in_one_piece_are_parsed_in_turns(run, monkeypatch):
    monkeypatch.setattr(websocket, "TURN", 0.0)

    async def test(peer):
        peer.send(frame(PING) * 50)
        assert len(peer.got) == 1
        assert not peer.is_reading

        while not peer.is_reading:
            await asyncio.sleep(0)
        assert len(peer.got) == 50

    run(test)


@pytest.mark.parametrize(
    ("part", "behind"),
    [(frame(TEXT, b"{", fin=False), frame(PING)), (frame(TEXT, b"", fin=False), frame(PING)), (head(TEXT, 9), b"\x11")],
    ids=["a fragment", "an empty fragment", "half a frame"],
)
def test_a_message_that_does_not_end_ends_the_connection(run, part, behind):
    async def test(peer):
        peer.send(part, behind)
        peer.clock.go_on(websocket.PING_SECONDS)
        peer.send(behind)

        peer.clock.go_on(websocket.MAX_MESSAGE_SECONDS - websocket.PING_SECONDS)

        assert peer.got[-1].code == 1008

    run(test)


def test_each_message_has_its_own_time(run):
    async def test(peer):
        peer.send(frame(TEXT, b"1", fin=False))
        for _ in range(5):
            peer.clock.go_on(websocket.MAX_MESSAGE_SECONDS - 1)
            peer.send(frame(CONTINUATION, b"2") + frame(TEXT, b"1", fin=False))
            assert await peer.messages(1) == [b"12"]

        assert all(each.opcode == PING for each in peer.got)

    run(test)


def test_a_silent_client_is_pinged_and_one_that_does_not_answer_is_cut_off(run):
    async def test(peer):
        for _ in range(3):
            peer.clock.go_on(websocket.PING_SECONDS)
            peer.clock.go_on(websocket.PING_SECONDS)
            assert peer.got[-1].opcode == PING
            peer.send(frame(PONG))
        assert not peer.transport.abort.called

        for _ in range(3):
            peer.clock.go_on(websocket.PING_SECONDS)
        assert peer.transport.abort.called

    run(test)


def test_the_first_byte_of_a_header_is_no_sign_of_life(run):
    async def test(peer):
        for _ in range(3):
            peer.send(b"\x81")
            peer.clock.go_on(websocket.PING_SECONDS)
        assert peer.transport.abort.called or peer.got[-1].code == 1002

    run(test)


@pytest.mark.parametrize(
    ("sent", "confirmed"),
    [(close(1000, b"done"), close(1000, b"done")), (frame(CLOSE), frame(CLOSE)), (close(4999), close(4999))],
)
def test_a_close_is_confirmed_with_its_own_code_when_the_messages_before_it_are_answered(run, sent, confirmed):
    async def test(peer):
        peer.send(text("before"), sent, text("behind"))
        assert await peer.connection.receive() == b"before"
        peer.connection.send(b"the answer")
        assert await peer.connection.receive() is None

        peer.connection.close(1000)

        assert [each.opcode for each in peer.got] == [TEXT, CLOSE]
        assert peer.got[1].payload == read_client(confirmed)
        assert peer.transport.close.called

    run(test)


def test_a_close_is_confirmed_in_time_though_messages_before_it_are_not_answered(run):
    async def test(peer):
        peer.send(text("before"), close(1000))
        assert peer.got == []

        peer.clock.go_on(websocket.MAX_CLOSE_SECONDS)

        assert peer.got[0].code == 1000
        assert peer.transport.close.called

    run(test)


def read_client(sent):
    """Return the payload of a client's frame with a short one."""
    return bytes(byte ^ sent[2 + place % 4] for place, byte in enumerate(sent[6:]))


def test_an_end_by_the_server_waits_for_the_confirmation_of_the_client(run):
    async def test(peer):
        peer.connection.close(1012, "the server stops")
        peer.connection.send(b"dropped")
        peer.send(text("too late"))
        assert [(each.code, each.payload[2:]) for each in peer.got] == [(1012, b"the server stops")]
        assert not peer.transport.close.called

        peer.send(close(1012))
        assert peer.transport.close.called
        assert len(peer.got) == 1

    run(test)


def test_a_client_that_does_not_confirm_the_end_is_disconnected(run):
    async def test(peer):
        peer.connection.close(1012)
        peer.clock.go_on(websocket.MAX_CLOSE_SECONDS)
        assert peer.transport.close.called

        peer.clock.go_on(MAX_STALL_SECONDS)
        assert peer.transport.abort.called

    run(test)


def test_a_lost_connection_ends_the_waiting_and_leaves_no_timer(run):
    async def test(peer):
        waiting = asyncio.ensure_future(peer.connection.receive())
        peer.send(frame(TEXT, b"half", fin=False))
        peer.connection.pause_writing()
        await asyncio.sleep(0)

        peer.connection.connection_lost(None)

        assert await waiting is None
        assert peer.clock.timers == []
        assert peer.connection not in peer.connection.state.connections

    run(test)


def test_messages_of_any_length_are_sent_whole(run):
    async def test(peer):
        sent = [b"x" * length for length in (0, 125, 126, 65535, 65536, 300_000)]
        peer.connection.send(*sent)

        assert peer.got == [Read(TEXT, message) for message in sent]

    run(test)


def test_a_server_that_stops_lets_the_coroutine_say_goodbye(run):
    async def test(peer):
        peer.connection.shutdown()

        assert await peer.connection.receive() is None
        assert peer.connection.is_stopping
        peer.connection.send(b"bye")
        peer.connection.close(1012)
        assert [each.opcode for each in peer.got] == [TEXT, CLOSE]

    run(test)
