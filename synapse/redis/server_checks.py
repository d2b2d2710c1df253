"""Check that the Redis server keeps its data and accepts writes; each finding names its consequence.

A write probe sets a key only if it exists, and the key never does (`SET ... XX`). Servers that are out of memory, lack
their replicas or are replicas still answer `PING`, but they refuse such a write before they look the key up (OOM,
NOREPLICAS, READONLY, MISCONF). On a server that accepts writes, the probe changes nothing on disk or replicas.
"""

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from synapse.redis import ReplyError, SyncExecutor, keyspace
from synapse.redis.address import Address, NodeAddress
from synapse.redis.cluster import routing
from synapse.redis.cluster.topology import topology_of
from synapse.redis.command import Command
from synapse.redis.commands import server as server_commands
from synapse.redis.connection import Server
from synapse.redis.errors import RedisUnavailable

# The greatest number of keys to try in order to find one on each node.
_MOST_TRIED = 20_000


def write_probes(server: Server) -> list[Command]:
    """Return a command for each node of the server that accepts writes.

    Raises:
        RedisUnreachable: when the nodes of a cluster are not known, or none has a slot.
    """
    if not server.is_cluster():
        return [_probe(0)]
    topology = topology_of(server.locate())
    if topology.is_due:
        topology.refresh()
    missing = set(topology.places())
    found: dict[NodeAddress, Command] = {}
    for number in range(_MOST_TRIED):
        command = _probe(number)
        place = topology.place_of(routing.slot_of(command) or 0)
        found.setdefault(place, command)
        missing.discard(place)
        if not missing:
            break
    return list(found.values())


def _probe(number: int) -> Command:
    return Command(("SET", keyspace.probe(number), "", "XX"))


logger = logging.getLogger(__name__)

OLDEST = (6, 2)
# Redis versions with a known vulnerability, each as the first affected and the first fixed one, from Redis' release
# notes.
_HOLES = (
    ((0,), (6, 2, 13), "CVE-2022-24834: a Lua script can overflow the heap"),
    ((7, 0), (7, 0, 12), "CVE-2022-24834: a Lua script can overflow the heap"),
    ((7, 0), (7, 0, 5), "CVE-2022-35951: XAUTOCLAIM can overflow the heap"),
    ((8, 2), (8, 2, 3), "CVE-2025-62507: XACKDEL can overflow the stack"),
)


def server_warnings(executor: SyncExecutor) -> list[str]:
    """Return the faults in the server's settings, each as a sentence.

    Raises:
        RedisUnavailable: when Redis cannot be used.
    """
    info, fsync = executor.execute([server_commands.info(), server_commands.config_get("appendfsync")])
    if isinstance(info, ReplyError):
        return [f"Redis does not tell how it is set up ({info}): whether it keeps its events in a crash is unknown."]
    return warnings_of(info, fsync)


def warnings_of(info: Mapping[str, str], fsync: Any) -> list[str]:
    """Return the faults in a server's settings, each as a sentence, from its INFO and its policy `appendfsync`."""
    found = (_check_persistence(info, fsync), _check_disk(info), _check_eviction(info), *_check_version(info))
    return [warning for warning in found if warning]


def memory_share(info: Mapping[str, str]) -> float:
    """Return the memory that a server uses in percent of its `maxmemory`, from its INFO; 0 without a limit."""
    used, most = (int(text) if (text := info.get(name, "")).isdigit() else 0 for name in ("used_memory", "maxmemory"))
    return 100 * used / most if most else 0.0


def transport_warning(address: Address) -> str:
    """Return the security fault of the connection to the server as a sentence, "" without one."""
    if address.is_local:
        return ""
    if not address.is_tls:
        return (
            f"Redis ({address}) is reached without TLS: every machine on the network path can read and change the "
            "events, and read the password. Use rediss://, unless that network is yours alone."
        )
    if not address.is_verified:
        return (
            f"Redis ({address}) does not have to prove who it is (ssl_cert_reqs, ssl_check_hostname): anybody on the"
            " way to it can pose as it. Name its authority with ssl_ca_certs instead."
        )
    return ""


class ServerCheck:
    """Logs each finding once, and again after it was gone."""

    def __init__(self, executor: Callable[[], SyncExecutor]) -> None:
        self._executor = executor
        self._said: frozenset[str] = frozenset()

    def step(self) -> None:
        """Check the server, and log new findings. An unreachable server is not a finding, because other parts report
        it.
        """
        try:
            executor = self._executor()
            on_the_way = transport_warning(executor.server.address())
            found = [*([on_the_way] if on_the_way else []), *server_warnings(executor)]
        except RedisUnavailable:
            return
        for warning in found:
            if warning not in self._said:
                logger.warning("%s", warning)
        self._said = frozenset(found)


def _check_persistence(info: Mapping[str, str], fsync: Any) -> str:
    if info.get("aof_enabled") != "1":
        return (
            "Redis keeps no append-only file: when it crashes, all events since its last snapshot are gone, though"
            " their publishers were told that they are stored. Set “appendonly yes” and “appendfsync always”."
        )
    if not isinstance(fsync, str):
        return (
            "Redis does not tell its appendfsync policy (CONFIG GET is refused): unless it is “always”, a crash loses"
            " the last events that were acknowledged."
        )
    if fsync != "always":
        return (
            f"Redis' appendfsync is “{fsync}”: a crash loses the last events, even seconds of them, though their"
            " publishers were told that they are stored. Set “appendfsync always”."
        )
    return ""


def _check_disk(info: Mapping[str, str]) -> str:
    if info.get("aof_last_write_status", "ok") != "ok":
        return "Redis cannot write its append-only file: it refuses all writes until its disk takes them again."
    return ""


def _check_eviction(info: Mapping[str, str]) -> str:
    policy = info.get("maxmemory_policy", "")
    if policy.startswith("allkeys-"):
        return (
            f"Redis' maxmemory-policy is “{policy}”: when its memory is full it deletes whole streams, with all their"
            " groups and unread events. Set “maxmemory-policy noeviction”."
        )
    if policy.startswith("volatile-"):
        return (
            f"Redis' maxmemory-policy is “{policy}”: when its memory is full it forgets idempotency keys early, and an"
            " event that is sent again is stored twice. Set “maxmemory-policy noeviction”."
        )
    return ""


def _check_version(info: Mapping[str, str]) -> list[str]:
    if "valkey_version" in info:
        # Valkey also reports itself as Redis 7.2.4 for old clients; its first release is later than the
        # vulnerabilities.
        return []
    text = info.get("redis_version", "")
    version = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
    if not version:
        return []
    if version < OLDEST:
        return [f"This is Redis {text}: older than 6.2, it lacks commands that are used here, and nothing is trimmed."]
    return [
        f"Redis {text} has a known hole ({what}). Update it to {'.'.join(map(str, closed))} or later."
        for first, closed, what in _HOLES
        if first <= version < closed
    ]
