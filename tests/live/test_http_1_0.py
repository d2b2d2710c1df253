"""A program that speaks HTTP/1.0 and watches a stream: it knows no chunks (RFC 9112, 6.1)."""

import pytest

from tests.connection import Connection


@pytest.fixture
def connection(server):
    client = Connection(server.port)
    yield client
    client.close()


@pytest.mark.parametrize("lasts", ["", "connection: keep-alive\r\n"])
def test_a_live_tail_over_http_1_0_has_plain_lines_until_the_connection_ends(server, connection, lasts):
    server.publish(1)
    connection.send(f"GET /streams/orders/live?last_event_id=0 HTTP/1.0\r\nhost: localhost\r\n{lasts}\r\n".encode())

    status, headers, _ = connection.answer()
    server.publish(2)
    lines = [connection.line() for _ in range(9)]
    server.stop()
    rest = connection.rest()

    assert status == 200
    assert "transfer-encoding" not in headers
    assert headers["connection"] == "close"
    assert {line.partition(b":")[0] for line in lines if line.strip()} <= {b"retry", b"event", b"id", b"data", b""}
    assert sum(line.startswith(b"data: ") for line in lines + rest.splitlines()) >= 2
    assert b"\r\n" not in b"".join(lines) + rest
