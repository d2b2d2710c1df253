"""Being woken when a stream may have something new."""

import asyncio


class Bell:
    """Rings when a stream got entries, and when that cannot be known: after a reconnect, when the loop begins.

    Take the bell first, then look, then wait: whatever is stored after the look rings. A ring may be for nothing; no
    ring for something does not happen while Redis answers.
    """

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        self._rung.set()

    async def wait(self, seconds: float) -> bool:
        """Wait for a ring since the last wait. Return False when there was none in this time."""
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True
