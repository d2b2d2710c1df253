"""The bytes that an entry takes in Redis."""

from benchmarks import events
from benchmarks.stage import Stage
from benchmarks.values import Measured, NotMeasured, Samples

COUNT = 10_000
BARE, OWN = "bare-entries", "own-properties"


def entry(stage: Stage) -> Measured:
    """The size of published entries, compared with a bare XADD of their stored fields, and of only the event's
    properties.
    """
    valkey, published = stage.valkey, events.varied(COUNT)
    valkey.fresh(events.STREAM, BARE, OWN)
    for start in range(0, COUNT, events.BATCH):
        body = events.compact(published[start : start + events.BATCH])
        status, answer = stage.synapse.ask("POST", f"/events/{events.STREAM}", body)
        if status != 200:
            raise NotMeasured(f"a batch was answered with {status}: {answer[:200].decode(errors='replace')}")
    valkey.fill(BARE, valkey.entries(events.STREAM))
    valkey.fill(OWN, [[str(part).encode() for pair in event.items() for part in pair] for event in published])
    ours, bare, own = (valkey.memory(key) / COUNT for key in (events.STREAM, BARE, OWN))
    valkey.fresh(events.STREAM, BARE, OWN)
    note = f"a bare XADD of the event's own {len(events.EVENT)} properties alone takes {own:.1f} bytes"
    return Measured(ours=Samples([ours]), peer=Samples([bare]), unit="bytes", notes=[note])
