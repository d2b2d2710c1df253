"""Stopping the server."""

import os
import signal

import pytest

from synapse.redis.embedded import EmbeddedRedis, EmbeddedRedisError
from synapse.redis.embedded import endpoint as embedded_endpoint
from tests.embedded.machine import client, is_running, pid_of
from tests.patience import eventually


def test_a_stopped_server_is_gone_and_its_data_is_kept(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()
    with client(endpoint) as caller:
        caller.set("key", "value")
    pid = pid_of(endpoint)

    embedded.stop()

    eventually(lambda: not is_running(pid))
    with client(embedded.ensure_running()) as caller:
        assert caller.get("key") == "value"


def test_stopping_where_nothing_runs_does_nothing(embedded: EmbeddedRedis) -> None:
    embedded.stop()
    embedded.stop()


def test_a_frozen_server_is_killed_and_loses_nothing(embedded: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synapse.redis.embedded.server.STOP_PATIENCE", 0.2)
    endpoint = embedded.ensure_running()
    with client(endpoint) as caller:
        caller.set("key", "value")
    pid = pid_of(endpoint)
    os.kill(pid, signal.SIGSTOP)

    embedded.stop()

    eventually(lambda: not is_running(pid))
    with client(embedded.ensure_running()) as caller:
        assert caller.get("key") == "value"


def test_a_server_without_a_record_is_stopped(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()
    pid = pid_of(endpoint)
    (embedded.folder / "endpoint.json").unlink()

    embedded.stop()

    eventually(lambda: not is_running(pid))


def test_a_server_that_is_still_reading_its_data_can_be_stopped(
    embedded: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with client(embedded.ensure_running()) as caller, caller.pipeline(transaction=False) as pipeline:
        for number in range(3_000):
            pipeline.set(str(number), "value")
        pipeline.execute()
    embedded.stop()
    monkeypatch.setattr(embedded_endpoint, "_TEMPLATE", embedded_endpoint._TEMPLATE + "key-load-delay 1000\n")
    with pytest.raises(EmbeddedRedisError, match="runs, but"):
        EmbeddedRedis(embedded.folder, patience=0).ensure_running()

    embedded.stop()

    monkeypatch.undo()
    with client(embedded.ensure_running()) as caller:
        assert caller.dbsize() == 3_000
