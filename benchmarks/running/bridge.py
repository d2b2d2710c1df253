"""A bridge with a handler that does nothing, drained as fast as it goes.

Run as `python -m benchmarks.running.bridge STREAM GROUP`; prints how many events there were and how long it took, from
when the handler's process was ready.
"""

import json
import sys
from time import perf_counter
from typing import Any

import django

HANDLER = f"{__name__}.nothing" if __name__ != "__main__" else "benchmarks.running.bridge.nothing"


def nothing(event: dict[str, Any], delivery: Any) -> None:
    """Be called."""


def main() -> None:
    """Drain the stream."""
    django.setup()
    from bridges.definitions import BridgeDefinition  # noqa: PLC0415 - needs Django
    from bridges.runtime.opening import open_worker  # noqa: PLC0415
    from bridges.runtime.stop import Stop  # noqa: PLC0415
    from streams import connections  # noqa: PLC0415

    stream, group = sys.argv[1:]
    bridge = BridgeDefinition(name="benchmark", stream=stream, group=group, sink="handler", config={"handler": HANDLER})
    worker = open_worker(bridge, say=lambda line: print(line, file=sys.stderr), stop=Stop(), drain=True)
    begun = perf_counter()
    worker.run()
    seconds = perf_counter() - begun
    worker.leave(connections.executor())
    json.dump({"events": worker.progress.delivered, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
