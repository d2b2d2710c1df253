"""The undocumented parts of uvicorn that the web server uses, as uvicorn has them now."""

import asyncio
import inspect
import re
import socket
from pathlib import Path

import pytest
import uvicorn

from synapse.server import client_connection
from synapse_project import web_server

SERVER = Path(inspect.getfile(client_connection)).parent


async def application(scope, receive, send):
    raise AssertionError("the protocol answers nothing here")


class Protocol(asyncio.Protocol):
    """The part of a protocol that uvicorn uses to count connections; notes the calls it gets."""

    def __init__(self, *, server_state, **_):
        self.state, self.told = server_state, []

    def connection_made(self, transport):
        self.transport = transport
        self.state.connections.add(self)
        transport.write(b"!")

    def connection_lost(self, exc):
        self.told.append("lost")
        self.state.connections.discard(self)

    def shutdown(self):
        self.told.append("shutdown")
        self.transport.close()


def test_uvicorn_shares_its_state_with_each_protocol_and_shuts_it_down_when_it_stops():
    async def serve():
        listener = socket.create_server(("127.0.0.1", 0))
        options = {"ws": "none", "lifespan": "off", "log_config": None}
        server = uvicorn.Server(uvicorn.Config(application, http=Protocol, **options))
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup([listener])
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        await reader.read(1)
        (protocol,) = server.server_state.connections
        await server.on_tick(0)
        await server.shutdown([listener])
        writer.close()
        return protocol

    protocol = asyncio.run(serve())

    assert protocol.told == ["shutdown", "lost"]
    assert [name for name, _ in protocol.state.default_headers if name == b"date"] == [b"date"]
    assert vars(protocol.state).keys() >= client_connection.ServerState.__annotations__.keys()


@pytest.mark.parametrize("name", ["startup", "shutdown"])
def test_uvicorn_calls_what_the_server_overrides(name):
    assert re.search(rf"await self\.{name}\(sockets=sockets\)", inspect.getsource(uvicorn.Server._serve))
    assert name in vars(web_server.Server)


def test_the_engine_imports_no_part_of_uvicorn():
    found = [
        path.name for path in SERVER.glob("*.py") if re.search(r"^\s*(from|import) uvicorn", path.read_text(), re.M)
    ]

    assert found == []
