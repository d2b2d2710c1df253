"""Several conversations with Redis, held at once. No I/O, no Django."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from synapse.problems import Problem
from synapse.redis.commands.base import Command, Conversation

K = TypeVar("K", bound=Hashable)


def together(conversations: Mapping[K, Conversation[Any]]) -> Conversation[dict[K, Any]]:
    """Hold the conversations at once: each round trip is one pipeline with what all of them ask then.

    Return what each found out, or the problem that ended it.
    """
    found: dict[K, Any] = {}
    asking: dict[K, Sequence[Command]] = {}

    def go_on(key: K, told: list[Any] | Problem | None) -> None:
        asking.pop(key, None)
        conversation: Any = conversations[key]
        try:
            asking[key] = conversation.throw(told) if isinstance(told, Problem) else conversation.send(told)
        except StopIteration as end:
            found[key] = end.value
        except Problem as problem:
            found[key] = problem

    for key in conversations:
        go_on(key, None)
    while asking:
        asked = dict(asking)
        try:
            replies = yield [command for commands in asked.values() for command in commands]
        except Problem as problem:
            for key in asked:
                go_on(key, problem)
            continue
        for key, commands in asked.items():
            go_on(key, replies[: len(commands)])
            replies = replies[len(commands) :]
    return {key: found[key] for key in conversations}
