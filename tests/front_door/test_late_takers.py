"""Requests behind an untaken answer wait, and are answered in their order."""

import asyncio
from unittest import mock

from uvicorn.server import ServerState

from synapse.http.exchange import Response, Route, identify_as_anonymous
from synapse.server.http_protocol import HttpProtocol
from synapse_project.front_door import FrontDoor


class Desk:
    """Answers `GET /NAME` when the test says so. `begun` has the names of those whose answer was begun."""

    def __init__(self):
        self.begun = []
        self._responds = {}
        self.transport = mock.Mock(asyncio.Transport)
        self.transport.get_extra_info.return_value = None
        self.transport.is_closing.side_effect = lambda: self.transport.close.called
        route = Route(
            method="GET", path="/{name}", handler=self._never, identify=identify_as_anonymous, direct=self._take
        )
        door = FrontDoor([route])
        self.protocol = HttpProtocol(door, door.config, server_state=ServerState())
        self.protocol.connection_made(self.transport)

    async def _never(self, request):
        raise AssertionError("the direct way answers")

    def _take(self, request, respond, fail):
        name = request.params["name"]
        self.begun.append(name)
        self._responds[name] = respond
        return True

    @property
    def answered(self):
        """The bodies of the answers, in the order of the bytes."""
        return [bytes(call.args[0]).rpartition(b"\r\n")[2].decode() for call in self.transport.write.call_args_list]

    def ask(self, *names):
        self.protocol.data_received(b"".join(b"GET /%b HTTP/1.1\r\nhost: localhost\r\n\r\n" % name for name in names))

    def answer(self, name):
        self._responds[name](Response(body=name.encode()))

    async def hear(self):
        """Run the event loop until its tasks wait."""
        for _ in range(5):
            await asyncio.sleep(0)

    async def answer_what_is_not_taken(self, name):
        """Answer with more than the client takes: the transport says so while it is written."""
        self.protocol.pause_writing()
        self.answer(name)
        await self.hear()

    async def is_taken(self):
        self.protocol.resume_writing()
        await self.hear()


def at_a_desk(story):
    async def told():
        desk = Desk()
        await story(desk)
        desk.protocol.connection_lost(None)

    asyncio.run(told())


def test_requests_behind_an_untaken_answer_begin_one_by_one_once_it_was_taken():
    async def story(desk):
        desk.ask(b"large")
        await desk.answer_what_is_not_taken("large")
        desk.ask(b"slow", b"quick")
        assert desk.begun == ["large"]

        await desk.is_taken()
        assert desk.begun == ["large", "slow"]
        desk.answer("slow")
        await desk.hear()
        desk.answer("quick")
        assert desk.answered == ["large", "slow", "quick"]

    at_a_desk(story)


def test_a_request_that_comes_again_waits_like_another():
    async def story(desk):
        for _ in range(3):
            desk.ask(b"same")
            desk.answer("same")
        desk.ask(b"same")
        await desk.answer_what_is_not_taken("same")

        desk.ask(b"same")
        assert desk.begun == ["same"] * 4
        await desk.is_taken()
        assert desk.begun == ["same"] * 5

    at_a_desk(story)


def test_a_stop_meanwhile_ends_the_connection_behind_the_answer():
    async def story(desk):
        desk.ask(b"large")
        await desk.answer_what_is_not_taken("large")

        desk.protocol.shutdown()
        assert not desk.transport.close.called
        await desk.is_taken()
        assert desk.transport.close.called

    at_a_desk(story)


def test_a_client_that_leaves_without_taking_its_answer_leaves_no_task_behind():
    async def story(desk):
        desk.ask(b"large")
        await desk.answer_what_is_not_taken("large")
        desk.ask(b"next")

        desk.transport.close()
        desk.protocol.connection_lost(ConnectionResetError())
        await desk.hear()
        assert desk.begun == ["large"]
        assert desk.protocol.state.tasks == set()

    at_a_desk(story)
