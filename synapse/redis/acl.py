"""The permissions that Synapse's Redis user needs, and no more."""

from collections.abc import Iterable

# Every command that Synapse sends or that a script calls: a user that runs a script needs the right to all commands in
# it. Subcommands are listed one by one. A test compares the list with the commands and scripts of this package.
_NAMES = (
    "ping info time scan type exists expire pexpire del get getdel getrange set eval evalsha multi exec wait waitaof"
    " hdel hexists hget hgetall hincrby hkeys hlen hmget hscan hset hsetnx lpop lpos lrange lrem memory|usage rpush"
    " zadd zcard zrange zrangebyscore zrem zremrangebylex zremrangebyrank zscore xack xadd xdel xgroup|create"
    " xgroup|createconsumer"
    " xgroup|delconsumer xgroup|destroy xgroup|setid xinfo|consumers xinfo|groups xinfo|stream xlen xpending"
    " xrange xread xreadgroup xrevrange xtrim"
)
COMMANDS = tuple(_NAMES.split())
# Commands that Synapse can do without when they are refused. CONFIG GET also reveals passwords.
NOT_NEEDED = ("config|get",)
# Redis knows this command from 7.2 on, and refuses a rule with an unknown command.
SINCE_7_2 = ("waitaof",)
# Further commands for the nodes of a cluster; a server outside a cluster does not know them.
IN_A_CLUSTER = ("asking", "cluster|slots")
# The patterns of Synapse's own keys.
OWN_KEYS = "syn:*"
_SPECIAL = "*?[]\\"


def rule(user: str, streams: Iterable[str], *, all_streams: bool = False, before_7_2: bool = False) -> list[str]:
    """Return the words of `ACL SETUSER` for a user that can reach these streams, or any key with `all_streams`.

    The user gets no password. `before_7_2` leaves out what older servers do not know.
    """
    patterns = ["*"] if all_streams else [OWN_KEYS, *map(escape_pattern, sorted(streams))]
    commands = [name for name in COMMANDS if not (before_7_2 and name in SINCE_7_2)]
    return [
        *("ACL", "SETUSER", user, "reset", "on"),
        *(f"~{pattern}" for pattern in patterns),
        *(f"+{name}" for name in commands),
    ]


def escape_pattern(name: str) -> str:
    """Return the pattern that matches only this name."""
    return "".join(f"\\{mark}" if mark in _SPECIAL else mark for mark in name)
