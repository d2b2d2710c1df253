"""The event loop does not wait long for Django's threads."""

import socket
import sys

import pytest

from synapse_project import web_server


@pytest.fixture
def interval():
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


def test_the_web_server_lets_threads_take_turns_every_half_millisecond(interval, monkeypatch):
    seen = []

    class Server:
        def __init__(self, *_, **__):
            pass

        def run(self, sockets):
            seen.append(sys.getswitchinterval())

    monkeypatch.setattr(web_server, "Server", Server)
    monkeypatch.setattr(web_server.signal, "signal", lambda *_: None)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        web_server.run(listener)

    assert seen == [pytest.approx(0.0005)]
