"""A bridge to a handler that does nothing, or to another sink, which delivers a stream's events as fast as possible.

Run as `python -m benchmarks.running.bridge STREAM [SINK CONFIG] GROUP`, with the configuration as JSON, or as
`... STREAM nowhere ORDER GROUP` for a sink in the bridge's own process that does nothing. `log=MODE` before the stream
is the bridge's `delivery_log`; with `log=MODE,fail` the first attempt at each twentieth event fails. Prints the number
of events and the time, from when the sink was open.
"""

import json
import sys
from time import perf_counter
from typing import Any, cast

import django

HANDLER = f"{__name__}.nothing" if __name__ != "__main__" else "benchmarks.running.bridge.nothing"
# With `fail`, one in this many events fails once.
FAILING = 20


def nothing(event: dict[str, Any], delivery: Any) -> None:
    """Do nothing with an event."""


def main() -> None:
    """Deliver all events of the stream."""
    django.setup()
    from bridges.runtime.worker_factory import open_worker  # noqa: PLC0415
    from streams import connections  # noqa: PLC0415
    from synapse.catalog.bridge_definitions import BridgeDefinition, DeliveryLog, Order  # noqa: PLC0415 - needs Django
    from synapse.delivery.shutdown import Stop  # noqa: PLC0415
    from synapse.delivery.sink import OneByOne  # noqa: PLC0415
    from synapse.errors.delivery import SinkError  # noqa: PLC0415
    from synapse.runtime import process  # noqa: PLC0415

    class Nowhere(OneByOne):
        def take(self, delivery: Any) -> None:
            pass

    words = sys.argv[1:]
    log, _, fails = (
        words.pop(0).removeprefix("log=").partition(",") if words[0].startswith("log=") else ("failures", "", "")
    )

    class Failing(Nowhere):
        def take(self, delivery: Any) -> None:
            ms, _, sequence = delivery.id.partition("-")
            if delivery.attempt == 1 and (int(ms) + int(sequence)) % FAILING == 0:
                raise SinkError("the receiver answered 503 Service Unavailable", status=503)

    stream, *chosen, group = words
    in_order = chosen[:1] == ["nowhere"]
    name, config = (chosen[0], json.loads(chosen[1])) if chosen and not in_order else ("handler", {"handler": HANDLER})
    order = cast(Order, chosen[1] if in_order else "none")
    bridge = BridgeDefinition(
        name="benchmark",
        stream=stream,
        group=group,
        sink=name,
        config=config,
        order=order,
        delivery_log=cast(DeliveryLog, log),
        retry_schedule=(0.0,),
    )
    sink = Failing() if fails else Nowhere() if in_order else None
    worker = open_worker(bridge, say=lambda line: print(line, file=sys.stderr), stop=Stop(), drain=True, sink=sink)
    # `manage.py consume` does this, too.
    process.tune_garbage_collector()
    begun = perf_counter()
    worker.run()
    seconds = perf_counter() - begun
    worker.leave(connections.executor())
    json.dump({"events": worker.progress.delivered, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()
