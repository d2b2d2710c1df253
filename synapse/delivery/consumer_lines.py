"""What a worker says of many events at once. Pure."""

from synapse.delivery.membership import Subscription


def lost(count: int, subscription: Subscription) -> str:
    """Say that events were trimmed before they were settled."""
    what = "1 event was" if count == 1 else f"{count} events were"
    return (
        f"{what} trimmed from “{subscription.stream}” before the group “{subscription.group}” had settled "
        f"{'it' if count == 1 else 'them'}: lost, and counted as such."
    )


def dead(count: int) -> str:
    """Say that events were given up without anybody telling how their last attempt ended."""
    what = "1 event is a dead letter" if count == 1 else f"{count} events are dead letters"
    return f"{what} now: nobody told how the last attempt ended."


def too_many(count: int) -> str:
    """Say why nothing new is read."""
    return f"{count:,} events wait to come again or for their turn; nothing new is read until fewer do."
