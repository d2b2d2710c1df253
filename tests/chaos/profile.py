"""`SYNAPSE_TESTS=full`, as `make test-full` and `make chaos` set it: more, and for longer."""

import os

FULL = os.environ.get("SYNAPSE_TESTS") == "full"


def examples(count: int) -> int:
    """Return how many examples Hypothesis tries of the `count` of the full run: a sixth in others."""
    return count if FULL else count // 6
