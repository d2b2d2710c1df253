"""Conversations that only read, several at once, and long work in turns: others go first every few milliseconds.

An error in place of a reply is raised here, as one of synapse.redis.errors.
"""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from synapse.redis.command import Command, Conversation
from synapse.redis.errors import RedisFailure, RedisRefused, RedisUnreachable, ReplyError, ReplyLost, WrongType
from synapse.runtime.turn_queue import TURN


def ask(commands: Sequence[Command]) -> Conversation[list[Any]]:
    """Return the replies to commands that only read.

    Raises:
        RedisUnavailable: when Redis cannot be used. A lost answer is no unknown outcome here: nothing was to happen.
    """
    try:
        return (yield commands)
    except ReplyLost as failure:
        raise RedisUnreachable("Redis did not answer in time, or the connection to it was lost.") from failure


def answer(reply: Any, stream: str, *, absent: Any = None) -> Any:
    """Return a reply about a stream, and `absent` when Redis has no such key or group.

    Raises:
        WrongType: when the key holds something else.
        RedisRefused: when Redis answered with any other error.
    """
    if not isinstance(reply, ReplyError):
        return reply
    # Redis words this one "ERR no such key", and a client library may take the first word off.
    if "no such key" in str(reply) or reply.code == "NOGROUP":
        return absent
    if reply.code == "WRONGTYPE":
        raise WrongType(stream)
    raise RedisRefused(f"Redis answered: {reply}.")


def answer_or(reply: Any, stream: str, otherwise: Any) -> Any:
    """Return a reply, or `otherwise` when it is an error: a foreign key in the place of ours is no reason to fail."""
    try:
        return answer(reply, stream, absent=otherwise)
    except RedisFailure:
        return otherwise


K = TypeVar("K", bound=Hashable)


def together(
    conversations: Mapping[K, Conversation[Any]], *, failures: tuple[type[Exception], ...] = (RedisFailure,)
) -> Conversation[dict[K, Any]]:
    """Hold the conversations at once: each round trip is one pipeline with what all of them ask then.

    Return what each found out, or the one of `failures` that ended it.
    """
    found: dict[K, Any] = {}
    asking: dict[K, Sequence[Command]] = {}

    def go_on(key: K, told: list[Any] | Exception | None) -> None:
        asking.pop(key, None)
        conversation: Any = conversations[key]
        try:
            asking[key] = conversation.throw(told) if isinstance(told, Exception) else conversation.send(told)
        except StopIteration as end:
            found[key] = end.value
        except failures as failure:
            found[key] = failure

    for key in conversations:
        go_on(key, None)
    while asking:
        asked = dict(asking)
        try:
            replies = yield [command for commands in asked.values() for command in commands]
        except RedisFailure as failure:
            for key in asked:
                go_on(key, failure)
            continue
        for key, commands in asked.items():
            go_on(key, replies[: len(commands)])
            replies = replies[len(commands) :]
    return {key: found[key] for key in conversations}


# Work for so many items is not begun before it is its turn: many such may come in the same moment.
MANY = 200

T = TypeVar("T")
R = TypeVar("R")


def in_parts(items: Sequence[T], work: Callable[[T], R], *, at_once: int = 1) -> Conversation[list[R]]:
    """Do some work for each item, and let others go first every few milliseconds: a large batch must not keep them.

    The clock is looked at after every `at_once` items: for light work that look is much of it.
    """
    if len(items) > MANY:
        yield ()
    done: list[R] = []
    until = time.monotonic() + TURN
    for start in range(0, len(items), at_once):
        done += [work(item) for item in items[start : start + at_once]]
        if time.monotonic() > until:
            yield ()
            until = time.monotonic() + TURN
    return done
