"""No acknowledged entry is lost when any process is killed."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import redis

from synapse.redis.embedded import EmbeddedRedis, EmbeddedRedisError
from synapse.redis.embedded.server import ServerWatchdog
from tests.embedded.machine import client, crash, pid_of


def test_entries_acknowledged_before_kill_9_are_there_afterwards(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()
    acknowledged: list[str] = []
    enough = threading.Event()

    def write_until_it_dies() -> None:
        with client(endpoint) as caller:
            try:
                for number in range(1_000_000):
                    acknowledged.append(caller.xadd("events", {"number": number}))
                    if number == 500:
                        enough.set()
            except redis.ConnectionError:
                pass

    writer = threading.Thread(target=write_until_it_dies)
    writer.start()
    enough.wait(120)
    crash(endpoint)
    writer.join()

    with client(embedded.ensure_running()) as caller:
        stored = [entry_id for entry_id, _ in caller.xrange("events")]
    # The one that was being written when the server died may be there without its writer knowing.
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) <= len(acknowledged) + 1


def test_a_write_that_was_torn_by_the_crash_does_not_keep_the_server_from_starting(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()
    with client(endpoint) as caller:
        caller.set("whole", "yes")
    crash(endpoint)
    (log,) = (embedded.folder / "appendonlydir").glob("*.incr.aof")
    with log.open("ab") as file:
        file.write(b"*3\r\n$3\r\nSET\r\n$4\r\ntorn\r\n$100\r\nhalf of i")

    with client(embedded.ensure_running()) as caller:
        assert caller.get("whole") == "yes"
        assert caller.get("torn") is None


def test_a_stale_process_number_does_not_end_another_process(embedded: EmbeddedRedis) -> None:
    crash(embedded.ensure_running())
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    (embedded.folder / "valkey.pid").write_text(str(stranger.pid))

    embedded.stop()
    embedded.ensure_running()
    embedded.stop()

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_server_that_cannot_be_told_from_another_program_is_not_killed(
    embedded: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synapse.redis.embedded.server.STOP_PATIENCE", 0.2)
    endpoint = embedded.ensure_running()
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    (embedded.folder / "valkey.pid").write_text(str(stranger.pid))
    (embedded.folder / "endpoint.json").unlink()  # so that it cannot be asked

    with pytest.raises(EmbeddedRedisError, match="does not stop"):
        embedded.stop()

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    crash(endpoint)


def test_the_watch_brings_a_dead_server_back_where_it_was(embedded: EmbeddedRedis, said: list[str]) -> None:
    endpoint = embedded.ensure_running()
    with client(endpoint) as caller:
        caller.set("key", "value")
    watch = ServerWatchdog(embedded, endpoint)
    assert watch.step() is False
    crash(endpoint)

    assert watch.step() is True

    with client(endpoint) as caller:
        assert caller.get("key") == "value"
    assert said[-1] == f"The embedded Redis is back at {endpoint}."
    assert watch.step() is False


def test_the_watch_leaves_a_server_alone_that_is_merely_slow(embedded: EmbeddedRedis, said: list[str]) -> None:
    endpoint = embedded.ensure_running()
    watch = ServerWatchdog(embedded, endpoint)
    pid = pid_of(endpoint)

    os.kill(pid, signal.SIGSTOP)
    assert watch.step() is False
    os.kill(pid, signal.SIGCONT)
    assert watch.step() is False

    assert said == ["The embedded Redis gives no answer.", "The embedded Redis answers."]
    assert pid_of(endpoint) == pid
