"""The totals of each stream over its groups and labels, with all streams in one block, so that the overview reads only
this block.

The total of a counter is not the sum of the groups' counters, which falls when a group is deleted: it grows by their
growth.
"""

from collections.abc import Mapping

from synapse.redis import Command
from synapse.statistics import series
from synapse.statistics.latest import growth_of
from synapse.statistics.series import BY_NUMBER, SERIES, SUMS_OF, Key
from synapse.statistics.storage import ALL_STREAMS, FINEST, RESOLUTIONS, Changes, Resolution, Track

# Kept for the overview: the last minutes with each sample, and the last hour by minutes.
TOTALS_RESOLUTIONS = (
    Resolution(seconds=FINEST.seconds, kept=600),
    Resolution(seconds=RESOLUTIONS[1].seconds, kept=7_200),
)
COUNTERS = (series.PUBLISHED, series.REFUSED, series.ACKNOWLEDGED, series.FAILED, series.LOST)
_COUNTED = [each.number for each in COUNTERS]
# The totals that grow with a counter, by the number of the counter.
_GROWING = {
    each.number: [number for number in (each.number, *SUMS_OF.get(each.number, ())) if number in _COUNTED]
    for each in SERIES
    if each.kind == "counter"
}
# The highest value of all groups, and the sum of all groups.
_HIGHEST = (series.LAG_SECONDS.number, series.LAG_EVENTS.number)
_SUMMED = (series.LENGTH.number, series.DEAD.number)
GAUGES = tuple(BY_NUMBER[number] for number in (*_HIGHEST, *_SUMMED))


class Totals:
    """The current totals of all streams. In their keys, the stream takes the place of a group."""

    def __init__(self) -> None:
        self.tracks = [Track(ALL_STREAMS, resolution) for resolution in TOTALS_RESOLUTIONS]
        self._values: dict[Key, int] = {}
        self._keys: dict[str, dict[int, Key]] = {}

    def record(
        self, now: int, samples: Mapping[str, Mapping[Key, int]], changes: Mapping[str, Changes]
    ) -> list[Command]:
        """Record a sample, and return the commands that write it.

        Args:
            now: the time in seconds since 1970.
            samples: all values of each stream by its name.
            changes: the changed series of each stream by its name, with their values before and after.
        """
        finest, minutes = self.tracks
        if not finest.is_current:
            self._values = {key: value for key, value in finest.values.items() if key.group in samples}
        touched: list[Key] = []
        for gone in self._keys.keys() - samples.keys():
            touched += self._keys.pop(gone).values()
        for key in touched:
            self._values.pop(key, None)
        for stream, values in samples.items():
            if stream not in self._keys or changes.get(stream):
                touched += self._set_totals(stream, values, changes.get(stream, {}))
        asked = finest.record(now // FINEST.seconds, self._values, touched if finest.is_current else None)
        return asked + minutes.follow(now, self._values, finest.changed)

    def _set_totals(self, stream: str, values: Mapping[Key, int], changes: Changes) -> list[Key]:
        """Set the totals of a stream, and return their keys."""
        keys = self._keys.get(stream)
        if keys is None:
            keys = self._keys[stream] = {each.number: Key(each.number, stream) for each in (*COUNTERS, *GAUGES)}
        totals = self._values
        for number in _COUNTED:
            totals.setdefault(keys[number], 0)
        for key, (before, value) in changes.items():
            for number in _GROWING.get(key.number, ()):
                totals[keys[number]] += growth_of(BY_NUMBER[key.number], before, value)
        found: dict[int, int] = {}
        for key, value in values.items():
            number = key.number
            if number in _HIGHEST:
                found[number] = max(found.get(number, 0), value)
            elif number in _SUMMED:
                found[number] = found.get(number, 0) + value
        for number in (*_HIGHEST, *_SUMMED):
            if number in found:
                totals[keys[number]] = found[number]
            else:
                totals.pop(keys[number], None)
        return list(keys.values())
