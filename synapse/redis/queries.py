"""Questions to Redis that change nothing, and what its errors mean for those who asked. No I/O, no Django."""

from collections.abc import Sequence
from typing import Any

from synapse.errors.streams import (
    BrokerDown,
    BrokerRefused,
    NotAStream,
    OutcomeUnknown,
)
from synapse.redis.commands.base import Command, Conversation, ReplyError


def ask(commands: Sequence[Command]) -> Conversation[list[Any]]:
    """Return the replies to commands that only read.

    Raises:
        Unavailable: when Redis cannot be used. A lost answer is no unknown outcome here: nothing was to happen.
    """
    try:
        return (yield commands)
    except OutcomeUnknown as problem:
        raise BrokerDown("Redis did not answer in time, or the connection to it was lost.") from problem


def answer(reply: Any, stream: str, *, absent: Any = None) -> Any:
    """Return a reply about a stream, and `absent` when Redis has no such key or group.

    Raises:
        NotAStream: when the key holds something else.
        BrokerRefused: when Redis answered with any other error.
    """
    if not isinstance(reply, ReplyError):
        return reply
    # Redis words this one "ERR no such key", and a client library may take the first word off.
    if "no such key" in str(reply) or reply.code == "NOGROUP":
        return absent
    if reply.code == "WRONGTYPE":
        raise NotAStream(stream)
    raise BrokerRefused(f"Redis answered: {reply}.")
