"""Unmodified clients follow streams and publish: Python's websockets, and Node's ws. Chromium: tests/browser."""

import asyncio
import os
import shutil
import subprocess

import orjson
import pytest
import websockets
from websockets.sync.client import connect

from streams.snapshot import holder
from tests.acceptance.test_the_guide import NODE
from tests.conftest import need


@pytest.fixture
def url(server):
    return f"ws://127.0.0.1:{server.port}/ws"


def ask(socket, **command):
    socket.send(orjson.dumps(command).decode())
    return orjson.loads(socket.recv())


def test_pythons_websockets_follows_and_publishes_with_a_key(server, url, key_of, settings):
    settings.AUTH = "required"
    key = key_of("helox", publishes=["parcels"], subscribes=["parcels"])
    holder.refresh()

    with connect(url, additional_headers={"Authorization": f"Bearer {key}"}, subprotocols=["synapse.v1"]) as socket:
        assert socket.subprotocol == "synapse.v1"
        assert ask(socket, op="subscribe", stream="parcels")["op"] == "subscribed"
        socket.send(['{"op":"publish","stream":"parcels",', '"event":{"event_type":"parcel-sent","n":1}}'])
        found = sorted((orjson.loads(socket.recv()) for _ in range(2)), key=lambda message: message["op"])
        assert [message["op"] for message in found] == ["event", "published"]
        assert socket.ping(b"x").wait(10)

    assert socket.close_code == 1000
    with pytest.raises(websockets.exceptions.InvalidStatus, match="401"):
        connect(url)


def test_pythons_websockets_is_told_why_a_server_stops(server, url):
    async def follow():
        async with websockets.connect(url) as socket:
            await socket.send('{"op":"subscribe","stream":"parcels"}')
            said = [orjson.loads(await socket.recv())]
            await asyncio.to_thread(server.stop)
            said.append(orjson.loads(await socket.recv()))
            with pytest.raises(websockets.exceptions.ConnectionClosedError):
                await socket.recv()
            return said, socket.close_code

    said, code = asyncio.run(follow())

    assert [message["op"] for message in said] == ["subscribed", "bye"]
    assert code == 1012


# Python's websockets does the same, in the test above; resuming is in test_commands.py.
@pytest.mark.nightly
def test_nodes_ws_follows_publishes_and_resumes(server):
    need(shutil.which("node"), "Node")
    need((NODE / "node_modules" / "ws").is_dir(), "ws (npm install, as `make test` does)")

    found = subprocess.run(
        ["node", "websocket.mjs"],
        cwd=NODE,
        env=os.environ | {"SYNAPSE_URL": server.url},
        check=True,
        timeout=60,
        capture_output=True,
    )

    assert orjson.loads(found.stdout) == ["synapse.v1", 1, 1005, 2]
