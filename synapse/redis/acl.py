"""The permissions that a Redis user needs for Synapse to work as it, and no more."""

from collections.abc import Iterable

# Every command that is sent, and every one that a script calls: a user that runs a script needs the right to all its
# commands. Subcommands are named one by one. A test holds the list to the commands and scripts of this package.
_NAMES = (
    "ping info time scan type exists expire pexpire del get getdel getrange set eval evalsha multi exec wait waitaof"
    " hdel hexists hget hgetall hincrby hkeys hlen hmget hscan hset hsetnx lpop lpos lrange lrem memory|usage rpush"
    " zadd zcard zrange zrangebyscore zrem zremrangebylex zremrangebyrank zscore xack xadd xdel xgroup|create"
    " xgroup|createconsumer"
    " xgroup|delconsumer xgroup|destroy xgroup|setid xinfo|consumers xinfo|groups xinfo|stream xlen xpending"
    " xrange xread xreadgroup xrevrange xtrim"
)
COMMANDS = tuple(_NAMES.split())
# Asked for, and done without where it is refused. CONFIG GET also tells passwords.
NOT_NEEDED = ("config|get",)
# Redis knows it from 7.2 on, and refuses a rule that names a command that it does not know.
SINCE_7_2 = ("waitaof",)
# Needed besides on the nodes of a cluster, and unknown to a server that is none.
IN_A_CLUSTER = ("asking", "cluster|slots")
# The keys of our own.
OWN_KEYS = "syn:*"
_SPECIAL = "*?[]\\"


def rule(user: str, streams: Iterable[str], *, all_streams: bool = False, before_7_2: bool = False) -> list[str]:
    """Return the words of `ACL SETUSER` for a user that can reach these streams, or, with `all_streams`, any key.

    The user is left without a password. `before_7_2`: leave out what older servers do not know.
    """
    patterns = ["*"] if all_streams else [OWN_KEYS, *map(literally, sorted(streams))]
    commands = [name for name in COMMANDS if not (before_7_2 and name in SINCE_7_2)]
    return [
        *("ACL", "SETUSER", user, "reset", "on"),
        *(f"~{pattern}" for pattern in patterns),
        *(f"+{name}" for name in commands),
    ]


def literally(name: str) -> str:
    """Return the pattern that a name alone matches."""
    return "".join(f"\\{mark}" if mark in _SPECIAL else mark for mark in name)
