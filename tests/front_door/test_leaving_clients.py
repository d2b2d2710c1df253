"""A connection may close before the loop tells that its client is gone: that is no error of the application."""

import asyncio
from types import SimpleNamespace

import pytest

from synapse.server.asgi_cycle import AsgiCycle


@pytest.mark.parametrize(("closes", "errors"), [(True, []), (False, ["GET /streams/orders failed"])])
def test_an_application_without_an_answer_is_an_error_only_where_the_connection_is_open(caplog, closes, errors):
    written = []
    transport = SimpleNamespace(is_closing=lambda: closes and bool(written), write=written.append, close=lambda: None)
    connection = SimpleNamespace(transport=transport, is_write_paused=False, state=SimpleNamespace(default_headers=[]))

    async def answer(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        if closes:
            await send({"type": "http.response.body", "body": b"x"})

    scope = {"method": "GET", "path": "/streams/orders", "http_version": "1.1"}
    cycle = AsgiCycle(connection, answer, scope, keep_alive=True, expects_continue=False)
    asyncio.run(cycle._run())

    assert caplog.messages == errors
