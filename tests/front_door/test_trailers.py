"""Trailers behind a chunked body: headers that come too late to count (RFC 9110, 6.5.1)."""

import orjson
import pytest

from streams.snapshot import holder
from tests.connection import Connection
from tests.live.server import running_server

HEAD = "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n"
EVENT = orjson.dumps({"event_type": "order-placed", "n": 1}).decode()
VERSION = "synapse-contract-version: 99"


@pytest.fixture
def connection(redis, define):
    define("orders", {"order-placed": {"required": ["n"]}})
    holder.refresh()
    with running_server() as running:
        client = Connection(running.port)
        yield client
        client.close()


def in_chunks(*headers, trailers=(), path="/events/orders"):
    before, behind = ("".join(f"{line}\r\n" for line in lines) for lines in (headers, trailers))
    return f"{HEAD.format(path)}{before}\r\n{len(EVENT):x}\r\n{EVENT}\r\n0\r\n{behind}\r\n".encode()


def test_a_trailer_is_no_header_of_the_next_request(connection):
    connection.send(in_chunks(trailers=[VERSION]))
    first, *_ = connection.answer()
    connection.send(in_chunks(VERSION))
    second, *_ = connection.answer()

    assert (first, second) == (201, 422)


@pytest.mark.parametrize(("path", "status"), [("/events/orders", 201), ("/nowhere", 404)])
def test_a_trailer_is_no_header_of_its_own_request(connection, path, status):
    connection.send(in_chunks(path=path, trailers=["host: elsewhere", VERSION]))

    assert connection.answer()[0] == status
