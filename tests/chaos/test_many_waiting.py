"""However many events wait, giving out those that are due takes the same time.

`SYNAPSE_TESTS=full` has a million of them wait; that takes half a gigabyte.
"""

import statistics
import time

import pytest

from synapse.redis.commands import delivery as delivery_commands
from tests.bridges.cast import COPIES, DUE, PLACE, made_by_us, now_ms
from tests.chaos.profile import FULL

COUNTS = (10_000, 100_000, 1_000_000) if FULL else (1_000,)
LEASES, AT_ONCE = 1000, 10
FILL = """
for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local id = '1-' .. n
  redis.call('ZADD', KEYS[1], ARGV[3] + n, id)
  redis.call('HSET', KEYS[2], id .. ':body', '5:event,4:some,', id .. ':att', 1, id .. ':tok', '')
end
"""
# In Redis, on average. The slowest, and how long the caller waits, depend on who else uses the machine: they are shown.
PROMISED_MS = 2.0


@pytest.mark.parametrize("count", COUNTS)
def test_leasing_takes_the_same_time_however_many_wait(redis, send, count, capsys):
    made_by_us(redis)
    # Half of them are due, the others are not for long.
    due = now_ms(redis) - count // 2
    for first in range(0, count, at_once := min(count, 10_000)):
        redis.eval(FILL, 2, DUE, COPIES, first, first + at_once - 1, due)

    redis.config_resetstat()
    times = []
    for _ in range(min(LEASES, count // 2 // AT_ONCE)):
        began = time.perf_counter()
        leased = send(delivery_commands.lease(*PLACE, "me", limit=AT_ONCE, lease_ms=3_600_000))
        times.append((time.perf_counter() - began) * 1000)
        assert len(leased.events) == AT_ONCE

    mean = redis.info("commandstats")["cmdstat_evalsha"]["usec_per_call"] / 1000
    p99 = redis.info("latencystats")["latency_percentiles_usec_evalsha"]["p99"] / 1000
    with capsys.disabled():
        print(
            f"\n{count:,} waiting, {AT_ONCE} given out at once: {mean:.2f} ms in Redis, p99 {p99:.2f} ms; "
            f"{statistics.median(times):.2f} ms for the caller, p99 {statistics.quantiles(times, n=100)[98]:.2f} ms"
        )
    assert not FULL or mean < PROMISED_MS
