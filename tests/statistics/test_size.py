"""How much room history takes: 100 streams with 10 groups each fit into 64 MB."""

import random

from synapse.statistics.block import STEPS
from synapse.statistics.series import PUBLISH_SECONDS, QUANTILES, SERIES, Key
from synapse.statistics.storage import RESOLUTIONS, Track

STREAMS, GROUPS = 100, 10
KEYS = [
    Key(each.number, group, label)
    for each in SERIES
    if not each.sum_of
    for group in ([f"consumer-group-{n}" for n in range(GROUPS)] if each.scope == "group" else [""])
    for label in (QUANTILES if each.label == "quantile" else [each.label and "contract-violated"])
]
BETWEEN = PUBLISH_SECONDS.to_stored(0.002), PUBLISH_SECONDS.to_stored(0.4)
DURATIONS = {each.number for each in SERIES if each.is_rounded}


def test_thirty_days_of_a_hundred_streams_with_ten_groups_take_less_than_64_megabytes(redis):
    """One stream is written for the whole time, three series in ten changing at every step: counts by up to 20 a
    second, durations between 2 and 400 ms; the hundred are alike."""
    dice = random.Random(5)
    changing = dice.sample(KEYS, len(KEYS) * 3 // 10)
    values = {key: BETWEEN[0] if key.number in DURATIONS else 100_000 for key in KEYS}
    stream = "inference-events-of-stream-42"

    for resolution in RESOLUTIONS:
        track = Track(stream, resolution)
        track.load_commands(0)
        track.load(0, None, None)
        written = {}
        for step in range(resolution.kept // resolution.seconds + STEPS):
            for key in changing:
                grown = values[key] + dice.randint(1, 20 * resolution.seconds)
                values[key] = dice.randint(*BETWEEN) if key.number in DURATIONS else grown
            for command in track.record(step, values, changing):
                key, data = command.words[1:3]
                written[key] = data
        for key, data in written.items():
            redis.set(key, data)

    taken = sum(redis.memory_usage(key) for key in redis.scan_iter("syn:*"))
    assert len(KEYS) * STREAMS > 21_000
    assert STREAMS * taken < 64 * 2**20
