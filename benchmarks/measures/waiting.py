"""The cost of reading events that wait for a retry, for different numbers of waiting events."""

from functools import partial

from benchmarks.measures.rate import Failed
from benchmarks.stage import Stage
from benchmarks.values import Measured, Samples
from synapse.redis import Server, SyncExecutor, keyspace
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands.delivery import LeaseResult

FEW, MANY = 10_000, 1_000_000
GROUP = "benchmark"
# The leases of a round. All rounds, with the first one that does not count, take from the due half of the smaller set.
LEASES, AT_ONCE = 80, 10
_LEASE_MS = 3_600_000
_FILLED_AT_ONCE = 10_000
_PATIENCE = 60
_FILL = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local id = '1-' .. n
  redis.call('ZADD', KEYS[1], ARGV[3] + n, id)
  redis.call('HSET', KEYS[2], id .. ':body', '5:event,4:some,', id .. ':att', 1, id .. ':tok', '')
end
"""


def lease(stage: Stage) -> Measured:
    """The time in Redis for a LEASE of ten events when a million wait, compared with ten thousand."""
    executor = SyncExecutor(Server(locate=lambda: stage.valkey.endpoint.url, timeout=_PATIENCE))
    many = min(MANY, stage.plan.waiting)
    places = {count: f"waiting-{count}" for count in (many, FEW)}
    for count, stream in places.items():
        _fill(stage, stream, count)
        _round(stage, executor, stream)
    rounds = [[_round(stage, executor, stream) for stream in places.values()] for _ in range(stage.plan.rounds)]
    executor.close()
    for stream in places.values():
        stage.valkey.fresh(stream, keyspace.waiting(stream, GROUP), keyspace.messages(stream, GROUP))
    ours, few = (Samples(column) for column in zip(*rounds, strict=True))
    notes = ["time in Redis, by its own COMMANDSTATS", *([f"only {many:,} in a short run"] if many < MANY else [])]
    return Measured(ours=ours, peer=few, unit="µs", notes=notes, rounds=rounds)


def _fill(stage: Stage, stream: str, count: int) -> None:
    """Schedule a number of events. Half of them are due; the others become due one after the other."""
    client = stage.valkey.client
    client.xgroup_create(stream, GROUP, "0", mkstream=True)
    client.hset(keyspace.counters(stream, GROUP), "made_by", "an earlier run")
    seconds, _ = client.time()
    due = int(seconds) * 1000 - count // 2
    fill = partial(client.eval, _FILL, 2, keyspace.waiting(stream, GROUP), keyspace.messages(stream, GROUP))
    for first in range(0, count, _FILLED_AT_ONCE):
        fill(first, first + _FILLED_AT_ONCE - 1, due)


def _round(stage: Stage, executor: SyncExecutor, stream: str) -> float:
    """Return the microseconds that Redis took for a lease, as a mean."""
    stage.valkey.client.config_resetstat()
    for _ in range(LEASES):
        (found,) = executor.execute([delivery_commands.lease(stream, GROUP, "me", limit=AT_ONCE, lease_ms=_LEASE_MS)])
        if not isinstance(found, LeaseResult) or len(found.events) != AT_ONCE:
            raise Failed(f"a lease gave {found}")
    return float(stage.valkey.client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"])
