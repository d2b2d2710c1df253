"""Where the key of a command stands, and so which slot of a cluster it belongs to."""

from redis.crc import key_slot

from synapse.redis.commands.base import Argument, Command

# They speak of no key. Any node can answer the first; PING is asked of all, because each has to answer; the others
# belong to the commands that stand beside them.
ANY_NODE = frozenset(("TIME", "INFO", "CONFIG"))
EVERY_NODE = frozenset(("PING",))
WITH_THE_NEXT = frozenset(("MULTI",))
WITH_THE_LAST = frozenset(("EXEC", "WAIT", "WAITAOF"))
# Those whose key is not their second word.
_THIRD = frozenset(("XGROUP", "XINFO"))
_SCRIPTS = frozenset(("EVALSHA", "EVAL"))
# We read one stream at a time: its name and the id stand at the end.
_READS = frozenset(("XREAD", "XREADGROUP"))
_NOT_IN_A_CLUSTER = frozenset(("SCAN",))
KEYLESS = ANY_NODE | EVERY_NODE | WITH_THE_NEXT | WITH_THE_LAST


def slot_of(command: Command) -> int | None:
    """Return the slot of the command's first key, None for a command without any.

    All keys of a command of ours have the same slot: those that belong to a stream have its name as their hash tag.

    Raises:
        ValueError: for a command that one node alone cannot answer.
    """
    words = command.words
    name = words[0]
    if name in KEYLESS:
        return None
    if name in _NOT_IN_A_CLUSTER:
        raise ValueError(f"{name} is not sent to a cluster")
    if name in _SCRIPTS:
        return _slot(words[3])
    if name in _READS:
        return _slot(words[-2])
    return _slot(words[2] if name in _THIRD else words[1])


def _slot(key: Argument) -> int:
    return key_slot(key if isinstance(key, bytes) else str(key).encode())
