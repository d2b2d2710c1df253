"""Asking Redis for a page: all that a page shows in as few round trips as its slowest question needs.

A page is shown whatever Redis does: what could not be found out is a `Problem` in place of the answer.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

from core.problems import Problem
from streams import connections
from streams.broker.command import Command, Conversation

K = TypeVar("K", bound=Hashable)


def ask_all(conversations: Mapping[K, Conversation[Any]]) -> dict[K, Any]:
    """Hold the conversations with Redis, and return what each found out, or the problem that ended it."""
    try:
        return connections.executor().run(together(conversations))
    except Problem as problem:
        # Raised before anything could be asked, such as by a locator that knows of no server.
        return dict.fromkeys(conversations, problem)


def together(conversations: Mapping[K, Conversation[Any]]) -> Conversation[dict[K, Any]]:
    """Hold several conversations at once: each round trip is one pipeline with what all of them ask then."""
    found: dict[K, Any] = {}
    asking: dict[K, Sequence[Command]] = {}

    def go_on(key: K, replies: list[Any] | None | Problem) -> None:
        asking.pop(key, None)
        conversation = conversations[key]
        try:
            asking[key] = conversation.throw(replies) if isinstance(replies, Problem) else conversation.send(replies)  # type: ignore[arg-type]  # a generator begins with None
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
