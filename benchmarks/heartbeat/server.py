"""The web server with a heartbeat on its event loop, for measurements only. No route shows the result.

Run as `python -m benchmarks.heartbeat.server FILE`: the file has the longest gaps since they were last reset.
"""

import asyncio
import mmap
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

import django

# The longest time between two beats, and the most processor time that the loop's thread used between two, in seconds.
GAPS = struct.Struct("dd")
BEAT = 0.001


class Gaps:
    """The longest gaps, in a file that the server writes and the benchmark reads."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), GAPS.size)

    @classmethod
    def made(cls, path: Path) -> "Gaps":
        """Return gaps in a new file."""
        path.write_bytes(bytes(GAPS.size))
        return cls(path)

    def read(self) -> tuple[float, float]:
        """Return the longest gap, by the clock and by the processor's."""
        elapsed, taken = GAPS.unpack_from(self._map)
        return elapsed, taken

    def clear(self) -> None:
        """Reset the longest gap."""
        self._write(0.0, 0.0)

    def note(self, elapsed: float, taken: float) -> None:
        """Record a gap if it is the longest."""
        most = self.read()
        if elapsed > most[0] or taken > most[1]:
            self._write(max(elapsed, most[0]), max(taken, most[1]))

    def _write(self, elapsed: float, taken: float) -> None:
        GAPS.pack_into(self._map, 0, elapsed, taken)


async def beat(gaps: Gaps) -> None:
    """Wake every millisecond, and record the delay."""
    while True:
        began, began_thread = time.perf_counter(), time.thread_time()
        await asyncio.sleep(BEAT)
        gaps.note(time.perf_counter() - began - BEAT, time.thread_time() - began_thread)


def main(path: Path) -> None:
    """Serve, with a heartbeat."""
    django.setup()
    from django.conf import settings  # noqa: PLC0415 - needs Django, as all imports here

    from synapse_project import web_server  # noqa: PLC0415
    from synapse_project.front_door import Lifespan  # noqa: PLC0415

    gaps = Gaps(path)
    answer: Any = Lifespan.__call__

    async def with_heartbeat(*arguments: Any) -> None:
        task = asyncio.create_task(beat(gaps))
        try:
            await answer(*arguments)
        finally:
            task.cancel()

    Lifespan.__call__ = with_heartbeat  # type: ignore[method-assign]
    web_server.run(web_server.listen(settings.HOST, settings.PORT))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synapse_project.settings")
    main(Path(sys.argv[1]))
