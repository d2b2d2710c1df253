"""Made-up history, in the form that the sampler would have written, without its queries to Redis."""

import random
from collections.abc import Iterable

from streams import connections
from synapse.redis import Command, value
from synapse.statistics.series import QUANTILES, ROUNDS, SERIES, Key
from synapse.statistics.storage import FINEST, INSTALLATION, RESOLUTIONS, Track
from synapse.statistics.totals import Totals

# The number of series in ten that change with every sample, and the largest change.
_CHANGING, _GROWTH = 3, 100
_TOGETHER = 500


def keys_of(groups: int) -> list[Key]:
    """Return the series of a stream with some groups: one for each kind of label, and all quantiles of durations."""
    return [
        Key(each.number, group, label)
        for each in SERIES
        if not each.sum_of
        for group in ([f"consumer-group-{n}" for n in range(groups)] if each.scope == "group" else [""])
        for label in (QUANTILES if each.label == "quantile" else [each.label and "timeout"])
    ]


class History:
    """The history of some streams, written up to a moment.

    Args:
        streams: their names.
        groups: the number of groups of each.
        at: when it begins, in seconds since 1970, a multiple of five.
    """

    def __init__(self, streams: Iterable[str], *, groups: int, at: int) -> None:
        self._dice = random.Random(5)
        self.at = at
        self._rounds = 0
        keys = keys_of(groups)
        gauges = {each.number for each in SERIES if each.kind == "gauge"}
        self._values = {name: {key: 0 if key.number in gauges else 100_000 for key in keys} for name in streams}
        self._changing = {
            name: [(key, key.number in gauges) for key in self._dice.sample(keys, len(keys) * _CHANGING // 10)]
            for name in self._values
        }
        self._tracks = {name: [Track(name, each) for each in RESOLUTIONS] for name in (INSTALLATION, *self._values)}
        self._totals = Totals()
        for track in (*self._totals.tracks, *(track for tracks in self._tracks.values() for track in tracks)):
            track.load_commands(at)
            track.load(at, None, None)

    def write(self, until: int, *, every: int = FINEST.seconds) -> None:
        """Take samples at a fixed interval up to a moment, and write the changes."""
        asked: dict[object, Command] = {}
        while self.at <= until:
            for command in self._sample():
                # A block is written repeatedly; the last version remains.
                asked[command.words[1]] = command
            self.at += every
        commands = list(asked.values())
        for start in range(0, len(commands), _TOGETHER):
            for reply in connections.executor().execute(commands[start : start + _TOGETHER]):
                value(reply)

    def _sample(self) -> Iterable[Command]:
        self._rounds += 1
        changes = {}
        for name, (first, *others) in self._tracks.items():
            values = {ROUNDS: self._rounds} if name == INSTALLATION else self._changed(name)
            yield from first.record(self.at // FINEST.seconds, values)
            for track in others:
                yield from track.follow(self.at, values, first.changed)
            changes[name] = first.changed
        yield from self._totals.record(self.at, self._values, changes)

    def _changed(self, name: str) -> dict[Key, int]:
        values = dict(self._values[name])
        for key, is_gauge in self._changing[name]:
            values[key] = self._dice.randint(0, _GROWTH) + (0 if is_gauge else values[key])
        self._values[name] = values
        return values
