"""Asking Redis for a page: all that a page shows in as few round trips as its slowest question needs.

A page is shown whatever Redis does: what could not be found out is a `Problem` in place of the answer.
"""

from collections.abc import Mapping
from typing import Any

from streams import connections
from synapse.problems import Problem
from synapse.redis.commands.base import Conversation
from synapse.redis.queries import K, together


def ask_all(conversations: Mapping[K, Conversation[Any]]) -> dict[K, Any]:
    """Hold the conversations with Redis, and return what each found out, or the problem that ended it."""
    try:
        return connections.executor().run(together(conversations))
    except Problem as problem:
        # Raised before anything could be asked, such as by a locator that knows of no server.
        return dict.fromkeys(conversations, problem)
