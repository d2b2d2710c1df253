"""What a child notes of each event that it was given, in memory that both processes see.

It outlives the child, kill -9 included: the parent still knows which events were handled and which one was in hand. A
note costs the child next to nothing, so events are handed over in batches all the same.
"""

import mmap
import os
import tempfile

# A note for each event: what became of it so far. Memory that was never written is 0.
UNTOUCHED, BEGUN, TAKEN, RAISED = range(4)
# The first byte is the parent's word to the child; the notes follow.
_STOP = 0
_NOTES = 1


class Board:
    """Notes for up to `size` events. Each side has its own object over the same file."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._memory = mmap.mmap(descriptor, _NOTES + size)
        self._notes = memoryview(self._memory)[_NOTES:]

    def clear(self, count: int) -> None:
        """Begin anew with `count` events."""
        self._memory[_STOP] = 0
        self._notes[:count] = bytes(count)

    def stop(self) -> None:
        """Ask the child to begin no further event."""
        self._memory[_STOP] = 1

    @property
    def stopped(self) -> bool:
        """Whether no further event is to be begun."""
        return self._memory[_STOP] == 1

    def note(self, place: int, what: int) -> None:
        """Note what became of an event."""
        self._notes[place] = what

    def notes(self, count: int) -> bytes:
        """Return what is noted of the first `count` events."""
        return bytes(self._notes[:count])

    def close(self) -> None:
        """Let go of the memory."""
        self._notes.release()
        self._memory.close()


def make_file(size: int) -> int:
    """Return the descriptor of a new file for a board; its owner closes it."""
    with tempfile.TemporaryFile(prefix="synapse-handler-") as file:
        file.truncate(_NOTES + size)
        return os.dup(file.fileno())
