"""The state of the embedded server after its start."""

import os
import stat
from contextlib import suppress
from dataclasses import replace

import pytest
import redis

from synapse.redis.embedded import EmbeddedRedis, read_endpoint
from tests.embedded.machine import client


def test_a_new_folder_gets_a_server_that_answers_to_its_password(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()

    with client(endpoint) as caller:
        assert caller.ping()


def test_a_caller_who_guesses_the_password_is_refused(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()

    with client(replace(endpoint, password="guessed")) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_embedded_server_syncs_every_write_and_evicts_no_key(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()

    with client(endpoint) as caller:
        settings = caller.config_get("append*", "aof-*", "maxmemory-policy", "save")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["aof-use-rdb-preamble"] == "yes"
    assert settings["aof-load-truncated"] == "yes"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["save"] == ""


def test_only_this_machine_can_reach_the_server(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()

    with client(endpoint) as caller:
        assert caller.config_get("bind", "protected-mode") == {"bind": "127.0.0.1 -::1", "protected-mode": "yes"}
    assert endpoint.host == "127.0.0.1"


def test_only_the_owner_can_read_the_data_and_the_password(embedded: EmbeddedRedis) -> None:
    embedded.folder.mkdir(mode=0o755)
    (embedded.folder / "valkey.log").touch(0o644)
    before = os.umask(0)

    try:
        with client(embedded.ensure_running()) as caller:
            caller.xadd("orders", {"n": 1})
            caller.bgrewriteaof()
    finally:
        os.umask(before)

    modes = {}
    for path in (embedded.folder, *embedded.folder.rglob("*")):
        with suppress(FileNotFoundError):  # The server renames its temporary file when it has written it.
            modes[path] = stat.S_IMODE(path.stat().st_mode)
    assert any(path.suffix == ".aof" for path in modes)
    assert [str(path) for path, mode in modes.items() if mode & 0o077] == []


def test_another_process_finds_the_server_by_its_record(embedded: EmbeddedRedis) -> None:
    assert read_endpoint(embedded.folder) is None

    endpoint = embedded.ensure_running()

    assert read_endpoint(embedded.folder) == endpoint


def test_the_password_is_not_shown_with_the_address(embedded: EmbeddedRedis) -> None:
    endpoint = embedded.ensure_running()

    assert str(endpoint) == f"127.0.0.1:{endpoint.port}"
    assert endpoint.password not in repr(endpoint)
