"""The end of a connection while a command is carried out, without a network."""

import asyncio

import orjson
import pytest

from streams.live import socket_session
from streams.live.socket_session import SocketSession
from synapse.auth.principal import ANONYMOUS


class Socket:
    """A connection on which commands wait, and what was sent on it."""

    is_stopping = False

    def __init__(self, *commands):
        self.waiting = [orjson.dumps(each) for each in commands]
        self.sent = []
        self.code = None

    async def receive(self):
        return self.waiting.pop(0) if self.waiting else await asyncio.Event().wait()

    async def drain(self):
        """Wait for nothing."""

    def send(self, *messages):
        self.sent += [orjson.loads(each) for each in messages]

    def close(self, code, reason=""):
        self.code = code


class Session(SocketSession):
    """A session that ends while its first command is carried out, which is then carried out to its end."""

    def __init__(self, ended, *, finishes=True):
        super().__init__(ANONYMOUS, may_publish=True)
        self._begun, self._ending = asyncio.Event(), asyncio.Event()
        self._reason, self._finishes = ended, finishes
        self.obeyed = []

    async def _send_events(self, socket):
        await self._begun.wait()
        self._session.ended = self._reason
        self._ending.set()

    async def _execute_command(self, envelope):
        self.obeyed.append(envelope.id)
        self._begun.set()
        await self._ending.wait()
        # Several turns later.
        for _ in range(10):
            await asyncio.sleep(0)
        if not self._finishes:
            await asyncio.Event().wait()
        return {"op": "published"}


def run(socket, *arguments, **more):
    async def main():
        session = Session(*arguments, **more)
        await asyncio.wait_for(session._run_tasks(socket), 20)
        return session.obeyed

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("ended", "end", "code"),
    [("stopping", "bye", 1012), ("shut out", "bye", 1008), ("too many", "bye", 1008), ("slow", "dropped", 1013)],
)
def test_a_command_that_began_is_answered_before_the_end_and_none_behind_it_begins(ended, end, code):
    socket = Socket({"op": "publish", "id": 1}, {"op": "publish", "id": 2})

    assert run(socket, ended) == [1]

    assert [(each["op"], each.get("id")) for each in socket.sent] == [("published", 1), (end, None)]
    assert socket.code == code


def test_a_command_that_never_ends_does_not_keep_the_connection(monkeypatch):
    monkeypatch.setattr(socket_session, "LAST_COMMAND_SECONDS", 0.01)
    socket = Socket({"op": "publish", "id": 1})

    assert run(socket, "stopping", finishes=False) == [1]

    assert [each["op"] for each in socket.sent] == ["bye"]
