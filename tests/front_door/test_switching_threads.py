"""The event loop does not wait long for Django's threads."""

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
        def __init__(self, _):
            pass

        def run(self, sockets):
            seen.append(sys.getswitchinterval())

    monkeypatch.setattr(web_server, "Server", Server)
    monkeypatch.setattr(web_server.signal, "signal", lambda *_: None)

    web_server.run(None)

    assert seen == [pytest.approx(0.0005)]
