"""Where the server listens when others want to listen there too."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synapse.redis.embedded import EmbeddedRedis
from synapse.redis.embedded.endpoint import Endpoint
from synapse.redis.embedded.process import State, probe_server
from tests.embedded.machine import crash, pid_of
from tests.ports import free_port


@contextmanager
def stranger_on(port: int) -> Iterator[None]:
    """Another program on that port, which answers OK to any request."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def agree_to_all() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller:
                    while caller.recv(1000):
                        caller.sendall(b"+OK\r\n")

        thread = threading.Thread(target=agree_to_all)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_two_folders_have_two_servers(embedded: EmbeddedRedis, tmp_path: Path) -> None:
    other = EmbeddedRedis(tmp_path / "other")

    first = embedded.ensure_running()
    try:
        second = other.ensure_running()
    finally:
        other.stop()

    assert first.port != second.port
    assert first.password != second.password


def test_a_restart_keeps_address_and_password(embedded: EmbeddedRedis) -> None:
    first = embedded.ensure_running()
    embedded.stop()

    assert embedded.ensure_running() == first


def test_another_program_on_the_recorded_port_is_not_taken_for_the_server(embedded: EmbeddedRedis) -> None:
    first = embedded.ensure_running()
    crash(first)

    with stranger_on(first.port):
        second = embedded.ensure_running()

        assert second.port != first.port
        assert second.password == first.password
        assert pid_of(second) > 0


def test_a_program_that_answers_anything_is_no_server() -> None:
    port = free_port()

    with stranger_on(port):
        look = probe_server(Endpoint(port=port, password="secret"))

    assert (look.state, look.said) == (State.AWAY, "is another program than Redis")


def test_a_port_that_is_lost_between_choosing_and_listening_is_replaced(embedded: EmbeddedRedis, monkeypatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        answers = iter([True])  # once, the taken port looks free
        looks_free = "synapse.redis.embedded.server._is_free"
        monkeypatch.setattr(looks_free, lambda port: port != taken or next(answers, False))
        monkeypatch.setattr("synapse.redis.embedded.server.PORTS", (taken, *range(27_000, 27_100)))

        endpoint = embedded.ensure_running()

    assert endpoint.port != taken
