"""The messages for a person when the server cannot start."""

import os
import signal
from pathlib import Path

import pytest

from synapse.redis.embedded import EmbeddedRedis, EmbeddedRedisError, read_endpoint
from synapse.redis.embedded import endpoint as written
from tests.embedded.machine import client, crash, pid_of


def test_a_platform_without_a_server_is_told_to_bring_its_own(
    embedded: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    with pytest.raises(EmbeddedRedisError, match=r"no embedded Redis for this platform\. Set REDIS_URL"):
        embedded.ensure_running()


def test_a_binary_that_cannot_run_is_told_apart(embedded: EmbeddedRedis, tmp_path: Path, monkeypatch) -> None:
    binary = tmp_path / "valkey-server"
    binary.write_bytes(b"\x7fELF of another machine")
    binary.chmod(0o755)
    monkeypatch.setattr("synapse.redis.embedded.process.find_server", lambda: binary)

    with pytest.raises(EmbeddedRedisError, match=r"cannot run here.*Set REDIS_URL"):
        embedded.ensure_running()


def test_broken_data_shows_the_end_of_the_servers_log(embedded: EmbeddedRedis) -> None:
    crash(embedded.ensure_running())
    (log,) = (embedded.folder / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"this is no log of commands\r\n" * 10)

    with pytest.raises(EmbeddedRedisError, match=r"did not start. The end of .*valkey.log:\n(.|\n)*Bad file format"):
        embedded.ensure_running()


def test_a_start_that_failed_leaves_nothing_in_the_way_of_the_next(embedded: EmbeddedRedis) -> None:
    crash(embedded.ensure_running())
    (log,) = (embedded.folder / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"broken\r\n")
    with pytest.raises(EmbeddedRedisError):
        embedded.ensure_running()

    log.write_bytes(b"")

    with client(embedded.ensure_running()) as caller:
        assert caller.ping()


def test_a_record_that_cannot_be_read_is_made_anew_while_no_server_runs(embedded: EmbeddedRedis) -> None:
    embedded.ensure_running()
    embedded.stop()
    (embedded.folder / "endpoint.json").write_text('{"host": ')
    with pytest.raises(EmbeddedRedisError, match=r"Cannot read .*endpoint\.json"):
        read_endpoint(embedded.folder)

    endpoint = embedded.ensure_running()

    assert read_endpoint(embedded.folder) == endpoint


def test_a_running_server_without_a_record_is_not_doubled(embedded: EmbeddedRedis) -> None:
    pid = pid_of(embedded.ensure_running())
    (embedded.folder / "endpoint.json").unlink()

    with pytest.raises(EmbeddedRedisError, match=rf"its address was removed\. Stop it first \(process {pid}\)"):
        embedded.ensure_running()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(EmbeddedRedisError, match=r"Cannot run the embedded Redis in .*file"):
        EmbeddedRedis(tmp_path / "file").ensure_running()


def test_a_server_that_shows_no_progress_is_given_up(embedded: EmbeddedRedis) -> None:
    pid = pid_of(embedded.ensure_running())
    os.kill(pid, signal.SIGSTOP)

    with pytest.raises(EmbeddedRedisError, match="runs, but gives no answer"):
        EmbeddedRedis(embedded.folder, patience=0.1).ensure_running()

    os.kill(pid, signal.SIGCONT)


def test_a_server_that_reads_much_is_waited_for_and_tells_how_far_it_is(
    embedded: EmbeddedRedis, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = embedded.ensure_running()
    with client(endpoint) as caller, caller.pipeline(transaction=False) as pipeline:
        for number in range(5_000):
            pipeline.set(str(number), "value")
        pipeline.execute()
    crash(endpoint)
    slowly = written._TEMPLATE + "key-load-delay 100\n"  # microseconds a key
    monkeypatch.setattr(written, "_TEMPLATE", slowly)

    with client(embedded.ensure_running()) as caller:
        assert caller.dbsize() == 5_000

    assert any(line.startswith("The embedded Redis is reading its events: ") for line in said)
