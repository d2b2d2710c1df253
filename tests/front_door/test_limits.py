"""Limits on clients of a connection: bytes over a real socket, to the real protocol."""

import asyncio
import socket
import threading
from unittest import mock

import pytest
import uvicorn
from uvicorn.server import ServerState

from synapse.server import http_protocol, request_parser
from synapse.server.body_limits import Body, ClientGone
from synapse.server.config import Sender
from synapse.shares import CallerId
from synapse_project.front_door import FrontDoor
from tests.patience import eventually


class FakeDoor(FrontDoor):
    """An application with the front door's own way to read a body."""

    def __init__(self):
        super().__init__(())

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return
        try:
            with Body(
                self.config,
                self.django.person_of,
                receive,
                dict(_texts(scope["headers"])),
                Sender(CallerId("service", "billing"), ""),
            ) as reading:
                body = await reading.read()
        except ClientGone:
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


def _texts(headers):
    return ((name.decode(), text.decode()) for name, text in headers)


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setattr(http_protocol, "MAX_HEAD_SECONDS", 60)
    monkeypatch.setattr(http_protocol, "MAX_BODY_SECONDS", 60)
    door = FakeDoor()
    server = uvicorn.Server(uvicorn.Config(door, **http_protocol.options(door, lifespan="off", loop="asyncio")))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    eventually(lambda: server.started)
    yield listener.getsockname()
    server.should_exit = True
    thread.join()


def ask(address, *parts, wait_for_close=False):
    with socket.create_connection(address, timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        answer = connection.recv(65536)
        while wait_for_close and (more := connection.recv(65536)):
            answer += more
        return answer


HEAD = b"POST /x HTTP/1.1\r\nhost: localhost\r\n"


def test_a_request_is_answered(address):
    assert ask(address, HEAD + b"content-length: 2\r\n\r\nhi").startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_large_is_refused(address):
    assert ask(address, HEAD + b"x: " + b"y" * 20_000 + b"\r\n\r\n").startswith(b"HTTP/1.1 431")


def test_a_head_that_never_ends_is_refused_before_it_fills_the_memory(address):
    unfinished = HEAD + b"".join(b"x%d: %s\r\n" % (number, b"y" * 1000) for number in range(20))

    assert ask(address, unfinished).startswith(b"HTTP/1.1 431")


def test_a_head_that_does_not_come_is_not_waited_for(address, monkeypatch):
    monkeypatch.setattr(http_protocol, "MAX_HEAD_SECONDS", 0.3)

    assert ask(address, b"POST /x HT") == b""


def test_a_connection_that_says_nothing_is_not_held(address, monkeypatch):
    monkeypatch.setattr(http_protocol, "MAX_HEAD_SECONDS", 0.3)

    with socket.create_connection(address, timeout=60) as connection:
        assert connection.recv(1) == b""


@pytest.mark.parametrize("part", [b"", b"hal"])
def test_a_body_that_does_not_come_is_not_waited_for(address, part, monkeypatch):
    monkeypatch.setattr(http_protocol, "MAX_BODY_SECONDS", 0.3)

    assert ask(address, HEAD + b"content-length: 10\r\n\r\n" + part).startswith(b"HTTP/1.1 408")


def test_requests_that_are_sent_together_are_answered_in_order(address):
    one, two = (HEAD + b"content-length: 3\r\n\r\n" + body for body in (b"one", b"two"))

    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(one + two)
        answer = b""
        while b"two" not in answer:
            answer += connection.recv(65536)

    assert answer.index(b"one") < answer.index(b"two")


def test_the_limit_counts_each_head_for_itself(address):
    body = b"z" * 30_000
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body

    with socket.create_connection(address, timeout=60) as connection:
        for _ in range(3):
            connection.sendall(request)
            answer = b""
            while answer.count(b"z") < len(body):
                answer += connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_large_is_refused_behind_another_request_in_the_same_piece(address):
    before = HEAD + b"\r\n"

    answers = ask(address, before + HEAD + b"x: " + b"y" * 12_000, b"y" * 8_000 + b"\r\n\r\n", wait_for_close=True)

    assert [line.split()[1] for line in answers.split(b"\r\n") if line.startswith(b"HTTP/1.1")] == [b"200", b"431"]


class Clock:
    """Stands in for an event loop: its time goes on when a test says so."""

    def __init__(self):
        self.now = 0.0
        self.timers = []

    def time(self):
        return self.now

    def call_later(self, seconds, what):
        timer = asyncio.TimerHandle(self.now + seconds, what, (), self)
        self.timers.append(timer)
        return timer

    def create_task(self, work):
        work.close()
        return mock.Mock()

    def get_debug(self):
        return False

    def _timer_handle_cancelled(self, timer):
        self.timers.remove(timer)

    def go_on(self, seconds):
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.when() <= self.now]:
            self.timers.remove(timer)
            timer._run()


@pytest.fixture
def connected():
    """A connection whose requests nobody answers: its clock, its protocol, its transport."""
    door, clock, transport = FakeDoor(), Clock(), mock.Mock(asyncio.Transport)
    transport.get_extra_info.return_value = None
    transport.is_closing.side_effect = lambda: transport.close.called
    protocol = http_protocol.HttpProtocol(door, door.config, server_state=ServerState(), _loop=clock)
    protocol.connection_made(transport)
    return clock, protocol, transport


@pytest.fixture
def idle(connected):
    """A connection that has had an answer, 75 seconds before it is let go."""
    clock, protocol, transport = connected
    protocol.data_received(HEAD + b"\r\n")
    protocol.cycle.response_complete = True
    protocol.begin_next()
    return clock, protocol, transport


def test_an_idle_connection_is_closed_after_75_seconds(idle):
    clock, protocol, transport = idle
    clock.go_on(74)
    assert not transport.close.called

    clock.go_on(1)
    assert transport.close.called
    protocol.connection_lost(None)

    assert clock.timers == []


def test_an_idle_connection_ends_though_its_client_leaves_the_last_answer_lying(idle):
    clock, _, transport = idle
    clock.go_on(75)

    clock.go_on(http_protocol.MAX_STALL_SECONDS)

    assert transport.abort.called


def test_an_answer_that_closes_the_connection_does_not_hold_it_while_nothing_is_taken(connected):
    clock, protocol, transport = connected
    protocol.data_received(HEAD + b"connection: close\r\n\r\n")
    transport.close()
    protocol.cycle.response_complete = True
    protocol.begin_next()
    assert not transport.abort.called

    clock.go_on(http_protocol.MAX_STALL_SECONDS)

    assert transport.abort.called


@pytest.mark.parametrize("said", [b"no HTTP\r\n\r\n", HEAD + b"x: " + b"x" * request_parser.MAX_HEAD_BYTES, None])
def test_a_refusal_or_an_end_does_not_hold_the_connection_while_nothing_is_taken(connected, said):
    clock, protocol, transport = connected
    if said is None:
        protocol.eof_received()
    else:
        protocol.data_received(said)
    assert transport.close.called

    clock.go_on(http_protocol.MAX_STALL_SECONDS)

    assert transport.abort.called


def test_a_client_that_takes_part_of_a_last_answer_has_time_for_the_rest(connected):
    clock, protocol, transport = connected
    protocol.pause_writing()
    transport.close()
    clock.go_on(http_protocol.MAX_STALL_SECONDS - 1)
    protocol.resume_writing()
    clock.go_on(http_protocol.MAX_STALL_SECONDS - 1)
    assert not transport.abort.called

    clock.go_on(1)

    assert transport.abort.called


def test_a_connection_with_an_unanswered_request_is_not_idle(idle):
    clock, protocol, transport = idle
    clock.go_on(74)
    protocol.data_received(HEAD + b"\r\n")
    for _ in range(4):
        clock.go_on(75)
        assert not transport.close.called

    protocol.cycle.response_complete = True
    protocol.begin_next()
    clock.go_on(74)
    assert not transport.close.called
    clock.go_on(75)
    assert transport.close.called


def test_a_connection_answered_before_its_body_ended_is_closed_when_idle(connected):
    clock, protocol, transport = connected
    protocol.data_received(HEAD + b"content-length: 2\r\n\r\n")
    protocol.cycle.response_complete = True
    protocol.begin_next()
    clock.go_on(8)
    protocol.data_received(b"hi")
    clock.go_on(74)
    assert not transport.close.called

    clock.go_on(1)

    assert transport.close.called


def test_a_connection_that_ends_leaves_no_timer(idle):
    clock, protocol, _ = idle

    protocol.connection_lost(None)

    assert clock.timers == []


CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


def test_trailers_larger_than_a_head_are_answered_431(connected):
    _, protocol, transport = connected
    protocol.data_received(CHUNKED + b"2\r\nhi\r\n0\r\nx: ")
    for _ in range(4):
        protocol.data_received(b"y" * (request_parser.MAX_HEAD_BYTES // 4))
    assert not transport.close.called

    protocol.data_received(b"y")

    assert transport.write.call_args.args[0].startswith(b"HTTP/1.1 431")
    assert transport.close.called


def test_a_request_already_being_answered_gets_no_second_answer_for_large_trailers(connected):
    _, protocol, transport = connected
    protocol.data_received(CHUNKED + b"2\r\nhi\r\n0\r\nx: ")
    protocol.cycle.response_started = True

    protocol.data_received(b"y" * (request_parser.MAX_HEAD_BYTES + 1))

    assert not transport.write.called
    assert transport.close.called


def test_a_body_may_be_large_in_pieces_of_any_size(connected):
    _, protocol, transport = connected
    long = b"y" * (request_parser.MAX_HEAD_BYTES - 100)
    protocol.data_received(CHUNKED)
    for _ in range(3):
        for piece in (b"%x;%b" % (len(long), long), b"\r\n" + long, b"\r\n"):
            protocol.data_received(piece)
    protocol.data_received(b"0\r\n\r\n")

    assert not transport.close.called
    assert protocol.requests.part is None


def test_a_request_with_too_many_headers_is_refused(address):
    many = b"".join(b"x%d: a\r\n" % number for number in range(request_parser.MAX_HEADERS + 1))

    assert ask(address, HEAD + many + b"\r\n").startswith(b"HTTP/1.1 431")
