"""The totals of each stream over its groups and labels, of all streams in one block: the overview reads no others.

A total of a counter is not the sum of counters, which falls when a group is deleted: it grows by what they grow.
"""

from collections.abc import Mapping

from synapse.redis import Command
from synapse.statistics import series
from synapse.statistics.history import SUMS_OF
from synapse.statistics.latest import growth_of
from synapse.statistics.series import BY_NUMBER, SERIES, Key
from synapse.statistics.storage import ALL_STREAMS, FINEST, RESOLUTIONS, Changes, Resolution, Track

# Kept for what the overview shows: the last minutes in steps of samples, and the last hour in minutes.
TOTALS_RESOLUTIONS = (
    Resolution(seconds=FINEST.seconds, kept=600),
    Resolution(seconds=RESOLUTIONS[1].seconds, kept=7_200),
)
COUNTERS = (series.PUBLISHED, series.REFUSED, series.ACKNOWLEDGED, series.FAILED, series.LOST)
_COUNTED = [each.number for each in COUNTERS]
# By the number of a counter the totals that grow with it.
_GROWING = {
    each.number: [number for number in (each.number, *SUMS_OF.get(each.number, ())) if number in _COUNTED]
    for each in SERIES
    if each.kind == "counter"
}
# The highest value of all groups, and their sum.
_HIGHEST = (series.LAG_SECONDS.number, series.LAG_EVENTS.number)
_SUMMED = (series.LENGTH.number, series.DEAD.number)
GAUGES = tuple(BY_NUMBER[number] for number in (*_HIGHEST, *_SUMMED))


class Totals:
    """The totals of all streams, as they are being written: the key of each has the stream in place of a group."""

    def __init__(self) -> None:
        self.tracks = [Track(ALL_STREAMS, resolution) for resolution in TOTALS_RESOLUTIONS]
        self._values: dict[Key, int] = {}
        self._keys: dict[str, dict[int, Key]] = {}

    def record(
        self, now: int, samples: Mapping[str, Mapping[Key, int]], changes: Mapping[str, Changes]
    ) -> list[Command]:
        """Note a sample, and return what writes it.

        Args:
            now: the time in seconds since 1970.
            samples: by stream all its values.
            changes: by stream the series that changed, with their values before and after.
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
                touched += self._total(stream, values, changes.get(stream, {}))
        asked = finest.record(now // FINEST.seconds, self._values, touched if finest.is_current else None)
        return asked + minutes.follow(now, self._values, finest.changed)

    def _total(self, stream: str, values: Mapping[Key, int], changes: Changes) -> list[Key]:
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
