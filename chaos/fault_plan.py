"""What happens to an event by its nature. Pure: the seed decides, so every worker, and the verdict, decide alike."""

import zlib

# A sound event fails this often at most: it must not die of bad luck.
MOST_FAILURES = 2
# How the names of events end that never fail.
SOUND = "s"


def is_poison(seed: int, name: str, share: float) -> bool:
    """Say whether every attempt at this event fails."""
    return not name.endswith(SOUND) and _chance(f"{seed} {name} poison") < share


def fails(seed: int, name: str, attempt: int, share: float) -> bool:
    """Say whether this attempt at a sound event fails."""
    return attempt <= MOST_FAILURES and not name.endswith(SOUND) and _chance(f"{seed} {name} {attempt}") < share


def _chance(text: str) -> float:
    return zlib.crc32(text.encode()) / 2**32
