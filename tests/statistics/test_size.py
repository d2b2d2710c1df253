"""How much room history takes: 100 streams with 10 groups each fit into 64 MB."""

import random

from streams import connections
from synapse.redis.commands import statistics as commands
from synapse.statistics.block import STEPS, Block
from synapse.statistics.series import SERIES, Key
from synapse.statistics.storage import BASE, RESOLUTIONS

STREAMS, GROUPS = 100, 10
KEYS = [
    Key(each.number, group, each.label and "contract-violated")
    for each in SERIES
    if not each.sum_of
    for group in ([f"consumer-group-{n}" for n in range(GROUPS)] if each.scope == "group" else [""])
]


def test_thirty_days_of_a_hundred_streams_with_ten_groups_take_less_than_64_megabytes(redis):
    """One stream is written for the whole time, three series in ten changing at every step by up to 20 a second; the
    hundred are alike."""
    dice = random.Random(5)
    changing = dice.sample(KEYS, len(KEYS) * 3 // 10)
    values = dict.fromkeys(KEYS, 100_000)
    stream = "inference-events-of-stream-42"

    for resolution in RESOLUTIONS:
        for number in range(resolution.kept // resolution.seconds // STEPS + 1):
            block = Block(values)
            for step in range(STEPS):
                for key in changing:
                    values[key] += dice.randint(1, 20 * resolution.seconds)
                block.record(step, values)
            for name, data in ((number, block.pack(is_complete=True)), (BASE, Block(values).pack())):
                connections.executor().execute(
                    [commands.keep_block(stream, resolution.seconds, name, data, until=2**33)]
                )

    taken = sum(redis.memory_usage(key) for key in redis.scan_iter("syn:*"))
    print(len(KEYS), STREAMS * taken / 2**20)
    assert len(KEYS) * STREAMS > 11_000
    assert STREAMS * taken < 64 * 2**20
