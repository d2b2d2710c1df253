"""Connections are accepted fast, and get their protocols by turns of the addresses that they come from."""

import asyncio
import errno
import socket
from contextlib import ExitStack

import pytest

from synapse.server import acceptor
from synapse.server.acceptor import Acceptor

GREEDY, OTHER = "127.0.0.66", "127.0.0.3"


class Recorder(asyncio.Protocol):
    """Notes the address of each connection as it is opened."""

    def __init__(self, opened, transports):
        self._opened = opened
        self._transports = transports

    def connection_made(self, transport):
        self._transports.append(transport)
        peer = transport.get_extra_info("peername")  # None for one that is gone again
        self._opened.append(peer[0] if peer else None)


class Listener:
    """A listening socket, and clients of several addresses that have connected to it."""

    def __init__(self, stack):
        self._stack = stack
        self.socket = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=256))

    def connect(self, address, times=1):
        return [self._connect(address) for _ in range(times)]

    def _connect(self, address):
        return self._stack.enter_context(
            socket.create_connection(self.socket.getsockname(), timeout=10, source_address=(address, 0))
        )


@pytest.fixture
def listener():
    with ExitStack() as stack:
        yield Listener(stack)


def accept(listener, opened, *, until, has_room=lambda _: True, most_waiting=1000):
    """Accept until a condition holds, and close."""

    transports = []

    async def run():
        accepting = Acceptor(
            listener, lambda: Recorder(opened, transports), has_room=has_room, most_waiting=most_waiting
        )
        async with asyncio.timeout(30):
            while not until():
                await asyncio.sleep(0.001)
        accepting.close()
        await accepting.wait_closed()
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)  # a transport closes its socket in the loop's next round

    asyncio.run(run())


def test_a_connection_is_opened_before_those_of_another_address_that_came_earlier(listener):
    opened = []
    listener.connect(GREEDY, 50)
    listener.connect(OTHER)

    accept(listener.socket, opened, until=lambda: len(opened) == 51)

    assert opened.index(OTHER) == 1
    assert opened.count(GREEDY) == 50


def without_room(listener, *, until):
    """Accept ten connections of an address that has room, and as many of one that has none; return their order."""
    opened = []
    listener.connect(GREEDY, 10)
    listener.connect(OTHER, 10)
    accept(listener.socket, opened, until=lambda: len(opened) == until, has_room=lambda address: address == OTHER)
    return opened


def test_of_an_address_without_room_one_connection_gets_in_at_a_time(listener, monkeypatch):
    # The first one needs not to wait for another, the second one waits for an hour.
    monkeypatch.setattr(acceptor, "_PACE", 3600)

    opened = without_room(listener, until=11)

    assert (opened.count(OTHER), opened.count(GREEDY)) == (10, 1)


def test_all_connections_of_an_address_without_room_get_in_at_last(listener):
    opened = without_room(listener, until=20)

    assert (opened.count(OTHER), opened.count(GREEDY)) == (10, 10)


def test_an_address_cannot_take_all_places_of_waiting_connections(listener):
    opened = []
    greedy = listener.connect(GREEDY, 8)
    listener.connect(OTHER)

    accept(listener.socket, opened, until=lambda: len(opened) == 4, most_waiting=4)

    assert sorted(opened) == sorted([GREEDY] * 3 + [OTHER])
    assert [client.recv(1) for client in greedy[3:]] == [b""] * 5


def test_a_connection_that_waits_is_closed_when_the_server_stops(listener):
    opened = []
    clients = listener.connect(GREEDY, 50)

    accept(listener.socket, opened, until=lambda: bool(opened), has_room=lambda _: False)

    assert len(opened) < len(clients)
    assert clients[-1].recv(1) == b""


def test_a_client_that_left_before_its_turn_does_no_harm(listener):
    opened = []
    for client in listener.connect(GREEDY, 3):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
        client.close()
    listener.connect(OTHER)

    accept(listener.socket, opened, until=lambda: OTHER in opened)


def test_accepting_goes_on_after_the_system_had_no_descriptor_left(listener, caplog):
    class Exhausted(socket.socket):
        refusals = 1

        def accept(self):
            if Exhausted.refusals:
                Exhausted.refusals -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    opened = []
    listener.connect(OTHER)
    with Exhausted(fileno=listener.socket.dup().detach()) as exhausted:
        accept(exhausted, opened, until=lambda: bool(opened))

    assert "Too many open files" in caplog.text
