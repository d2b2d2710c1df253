"""A bridge into a handler that does nothing, or into another sink, drained as fast as it goes.

Run as `python -m benchmarks.running.bridge STREAM [SINK CONFIG] GROUP`, with the configuration as JSON; prints how many
events there were and how long it took, from when the sink was open.
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
    from core import collector  # noqa: PLC0415
    from streams import connections  # noqa: PLC0415

    stream, *chosen, group = sys.argv[1:]
    sink, config = (chosen[0], json.loads(chosen[1])) if chosen else ("handler", {"handler": HANDLER})
    bridge = BridgeDefinition(name="benchmark", stream=stream, group=group, sink=sink, config=config)
    worker = open_worker(bridge, say=lambda line: print(line, file=sys.stderr), stop=Stop(), drain=True)
    # As `manage.py consume` does.
    collector.spare()
    begun = perf_counter()
    worker.run()
    seconds = perf_counter() - begun
    worker.leave(connections.executor())
    json.dump({"events": worker.progress.delivered, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
