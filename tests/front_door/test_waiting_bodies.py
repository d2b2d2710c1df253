"""The body of a request that waits behind another one stays with the network: it is not counted before its turn."""

import asyncio

import pytest

LIVE, SHORT = "/streams/orders/live", "/streams/nowhere/info"
LENGTH = 4 * 1024 * 1024
PIECE = b"x" * (256 * 1024)
PIECES = LENGTH // len(PIECE)


def head(method, path, length=0):
    return f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n".encode()


@pytest.fixture
def way(event_loop_client, define):
    define("orders", {"order-placed": None})
    return event_loop_client


async def pieces_read(wire, protocol, *, most=PIECES):
    """Send pieces of a body for as long as they are taken; return how many were."""
    count = 0
    for _ in range(60):
        if wire.is_read and count < most:
            protocol.data_received(PIECE)
            count += 1
        await asyncio.sleep(0)
    return count


@pytest.mark.parametrize("before", [[LIVE], [SHORT, LIVE], [SHORT] * 20 + [LIVE]])
@pytest.mark.parametrize("path", ["/events/orders", "/registry/subjects/orders.order-placed/versions"])
def test_a_large_body_behind_an_answer_that_goes_on_is_not_read(way, before, path):
    async def send():
        wire, protocol = way.connect("GET", "127.0.0.1")
        heads = b"".join(head("GET", target) for target in before)
        protocol.data_received(heads + head("POST", path, LENGTH) + PIECE[:1000])
        try:
            return await pieces_read(wire, protocol)
        finally:
            protocol.connection_lost(None)
            await asyncio.sleep(0)

    # A piece for each time that a request of uvicorn's way looks whether its client has left.
    assert way.run(send()) <= 4


def test_a_large_body_behind_short_requests_is_read_when_its_turn_comes(way):
    async def send():
        wire, protocol = way.connect("GET", "127.0.0.1")
        protocol.data_received(head("GET", SHORT) * 20 + head("POST", "/events/orders", LENGTH) + PIECE)
        try:
            return await pieces_read(wire, protocol, most=PIECES - 1)
        finally:
            protocol.connection_lost(None)
            await asyncio.sleep(0)

    assert way.run(send()) == PIECES - 1
