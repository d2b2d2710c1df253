"""What the page that deletes a stream or a bridge says of what stays in Redis."""

from collections.abc import Callable

from synapse.errors.streams import Unavailable

_STAYS = (
    "That stays in Redis. A group is deleted on the page Groups of its stream, before the stream. What nothing leads "
    "to any more, manage.py leftovers lists and purges."
)


def told_left(left: Callable[[], list[str]]) -> list[str]:
    """Return the sentences that `left` gives and where what they tell of can be deleted."""
    try:
        said = [sentence for sentence in left() if sentence]
    except Unavailable as problem:
        said = [f"What is left in Redis is not known: {problem.detail}"]
    return [*said, _STAYS] if said else []
