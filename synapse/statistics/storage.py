"""The storage of history: resolutions, and the current block of each stream at each resolution."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from synapse.redis import Command
from synapse.redis.commands import statistics as commands
from synapse.statistics.block import STEPS, Block, unpack
from synapse.statistics.series import SERIES, Key

_DAY = 86_400
# The changed series with their values before and after; None when the series did not exist.
Changes = Mapping[Key, tuple[int | None, int | None]]
# The values of a stream at the end of its last block with changes, which hold ever since.
BASE = "base"
# The names that stand for the installation, and for all streams together. No stream can have them.
INSTALLATION, ALL_STREAMS = "", "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Steps of a number of seconds, which are kept for a number of seconds."""

    seconds: int
    kept: int


RESOLUTIONS = (
    Resolution(seconds=5, kept=3_600),
    Resolution(seconds=60, kept=_DAY),
    Resolution(seconds=900, kept=30 * _DAY),
)
FINEST = RESOLUTIONS[0]
_GAUGES = {each.number for each in SERIES if each.kind == "gauge"}


class Track:
    """The current block of one stream at one resolution.

    At the finest resolution each sample is a step. At the others, a step has the counters of its last sample and the
    highest value of each gauge, and is written when it is over.
    """

    def __init__(self, stream: str, resolution: Resolution) -> None:
        self.stream = stream
        self.resolution = resolution
        # The series that the last step changed, with their values before and after.
        self.changed: Changes = {}
        # Whether the last step was recorded with all values, so that the next one can use `touched`.
        self.is_current = False
        self._block = Block()
        self._number = -1
        self._has_changes = False
        self._base_until = 0
        self._step: int | None = None
        self._highest: dict[Key, int] = {}
        self._touched: set[Key] = set()

    @property
    def is_loaded(self) -> bool:
        """Whether the stored history was loaded."""
        return self._number >= 0

    @property
    def values(self) -> Mapping[Key, int]:
        """The values of the last step."""
        return self._block.values

    def load_commands(self, now: int) -> list[Command]:
        """Return the commands that read the block for a time (seconds since 1970), and its base."""
        self._number = now // self.resolution.seconds // STEPS
        return [commands.block(self.stream, self.resolution.seconds, name) for name in (self._number, BASE)]

    def load(self, now: int, block: object, base: object) -> None:
        """Load the stored history. A block with later steps was written before the clock was set back."""
        found, known = (unpack(data) if isinstance(data, bytes) else None for data in (block, base))
        if found is not None and found.last_step <= now // self.resolution.seconds % STEPS:
            self._block, self._has_changes = found, True
        else:
            self._block = Block(known.values if known else {})

    def is_written(self, now: int) -> bool:
        """Say whether the step for a time is written already."""
        number, step = divmod(now // self.resolution.seconds, STEPS)
        return number == self._number and self._block.last_step >= step

    def is_there(self) -> list[Command]:
        """Return the commands that ask whether the last written block still exists; none when no block was written."""
        return [commands.has_block(self.stream, self.resolution.seconds, self._number)] if self._has_changes else []

    def record(self, step: int, values: Mapping[Key, int], touched: Collection[Key] | None = None) -> list[Command]:
        """Record the values of a step, and return the commands that write them.

        Args:
            step: the step, counted from 1970.
            values: all values.
            touched: the series that may have changed since the last recorded step; None for all.
        """
        asked = self._turn_to(step // STEPS)
        self.changed = self._block.record(step % STEPS, values, touched if self.is_current else None)
        self.is_current = True
        if self.changed:
            self._has_changes = True
            asked.append(self._write_block(self._number, self._block))
        return asked

    def follow(self, now: int, values: Mapping[Key, int], changed: Changes) -> list[Command]:
        """Take a sample into a step of a coarser resolution. Return the commands that write the previous step when that
        is over.

        Args:
            now: the time of the sample in seconds since 1970.
            values: all values.
            changed: the series that differ from the previous sample, with their values before and after.
        """
        step, asked = now // self.resolution.seconds, []
        if step != self._step:
            if self._step is not None:
                # The values of the previous sample.
                last = {key: before for key, (before, _) in changed.items()}
                found = {**values, **last, **self._highest}
                asked = self.record(
                    self._step, {key: value for key, value in found.items() if value is not None}, self._touched
                )
            # A higher value within the step is recorded, although the current value differs.
            self._highest, self._touched = {}, set(self._highest)
        else:
            highest = self._highest
            for key, (before, value) in changed.items():
                if key.number in _GAUGES:
                    known = highest.get(key)
                    if before is not None and (known is None or before > known):
                        known = before
                    if value is not None and (known is None or value > known):
                        known = value
                    if known is not None:
                        highest[key] = known
        self._touched.update(changed)
        self._step = step
        return asked

    def _turn_to(self, number: int) -> list[Command]:
        """Begin another block when its time has come, and return the commands that write the values before it."""
        if number == self._number:
            return []
        values, begins = self._block.values, number * STEPS * self.resolution.seconds
        # Renewed once a day when nothing changes; the blocks of streams that are no longer sampled expire.
        asked = [self._write_block(self._number, self._block, is_complete=True)] if self._has_changes else []
        is_due = self._has_changes or self._base_until < begins + RESOLUTIONS[-1].kept
        self._block, self._number, self._has_changes = Block(values), number, False
        if is_due and values:
            self._base_until = begins + RESOLUTIONS[-1].kept + _DAY
            data = Block(values).pack()
            asked.append(commands.keep_block(self.stream, self.resolution.seconds, BASE, data, until=self._base_until))
        return asked

    def _write_block(self, number: int, block: Block, *, is_complete: bool = False) -> Command:
        until = (number + 1) * STEPS * self.resolution.seconds + self.resolution.kept
        is_dense = is_complete and self.resolution is RESOLUTIONS[-1]
        data = block.pack(is_complete=is_complete, is_dense=is_dense)
        return commands.keep_block(self.stream, self.resolution.seconds, number, data, until=until)
