"""Unsafe settings of the server are reported, once, with their consequence."""

import logging

import pytest

from streams import connections
from synapse.redis import ReplyError, Server
from synapse.redis.server_checks import ServerCheck, server_warnings


class Told:
    """Stands for an executor whose server answers this."""

    def __init__(self, fsync="always", refuses_info=False, **info):
        good = {"redis_version": "7.2.5", "aof_enabled": "1", "maxmemory_policy": "noeviction"}
        self.replies = [ReplyError("NOPERM no permission") if refuses_info else good | info, fsync]

    server = Server(locate=lambda: "redis://127.0.0.1", timeout=1)

    def execute(self, commands):
        return list(self.replies)


def test_a_server_that_keeps_its_events_gets_no_warning():
    assert server_warnings(Told()) == []


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (Told(aof_enabled="0"), ["no append-only file", "since its last snapshot are gone"]),
        (Told("everysec"), ["“everysec”", "a crash loses the last events"]),
        (Told("no"), ["“no”", "a crash loses the last events"]),
        (Told(ReplyError("ERR unknown command")), ["does not tell its appendfsync policy"]),
        (Told(None), ["does not tell its appendfsync policy"]),
        (Told(maxmemory_policy="allkeys-lru"), ["“allkeys-lru”", "deletes whole streams"]),
        (Told(maxmemory_policy="volatile-ttl"), ["“volatile-ttl”", "forgets idempotency keys"]),
        (Told(redis_version="6.0.16"), ["6.0.16", "older than 6.2"]),
        (Told(redis_version="6.2.5"), ["6.2.5", "CVE-2022-24834", "6.2.13"]),
        (Told(redis_version="8.2.2"), ["8.2.2", "CVE-2025-62507", "8.2.3"]),
        (Told(refuses_info=True), ["NOPERM", "is unknown"]),
    ],
)
def test_each_bad_setting_is_named_with_its_consequence(server, words):
    (warning,) = server_warnings(server)

    assert all(word in warning for word in words)


@pytest.mark.parametrize("version", ["6.2.13", "7.0.12", "8.2.3", "8.4.0", "", "unstable"])
def test_versions_without_known_holes_are_not_named(version):
    assert server_warnings(Told(redis_version=version)) == []


def test_every_hole_of_a_version_is_named():
    assert len(server_warnings(Told(redis_version="7.0.4"))) == 2


def test_valkey_is_not_judged_by_the_redis_version_it_gives_for_old_clients():
    assert server_warnings(Told(redis_version="7.0.4", valkey_version="9.1.2")) == []


def test_a_real_server_is_asked(executor):
    warnings = server_warnings(executor)

    assert "no append-only file" in warnings[0]


def test_a_finding_is_logged_once_and_again_only_after_it_was_gone(caplog):
    bad, good = Told("everysec"), Told()
    answers = iter([bad, bad, good, bad])
    check = ServerCheck(lambda: next(answers))

    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            check.step()

    assert len(caplog.records) == 2


def test_a_server_that_is_away_is_no_finding(own_valkey, caplog):
    own_valkey.kill()

    with caplog.at_level(logging.WARNING):
        ServerCheck(connections.executor).step()

    assert caplog.records == []
