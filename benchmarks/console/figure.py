"""A measured value, and its limit."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value, with its limit.

    Attributes:
        name: the measured work.
        value: the median where it was measured several times.
        unit: the unit of the value.
        p95: the 95th percentile, where it was measured several times; with fewer than 20 measurements, the highest
            value.
        highest: the highest value where it was measured several times.
        most: the limit of `value`, and of `p95` or, if that is missing, of `highest`; None without one.
        least: the lowest acceptable value, None without one.
    """

    name: str
    value: float
    unit: str
    p95: float | None = None
    highest: float | None = None
    most: float | None = None
    least: float | None = None

    @property
    def is_met(self) -> bool:
        """Say whether the value is within its limits."""
        judged = self.highest if self.p95 is None else self.p95
        too_high = self.most is not None and max(self.value, judged or 0) > self.most
        return not too_high and (self.least is None or self.value >= self.least)

    def __str__(self) -> str:
        text = f"{self.name}: {self.value:,.4g} {self.unit}".rstrip()
        if self.p95 is not None:
            text += f" (p95 {self.p95:,.4g}, highest {self.highest:,.4g})"
        elif self.highest is not None:
            text += f" ({self.highest:,.4g})"
        if self.most is not None:
            text += f", {'p95 ' if self.p95 is not None else ''}at most {self.most:g}"
        if self.least is not None:
            text += f", at least {self.least:g}"
        return text if self.is_met else f"{text}: NOT MET"


def of_times(name: str, seconds: Sequence[float], *, most: float = 300) -> Figure:
    """Return the value of work that was measured several times, such as a page; `most` is the limit of the 95th
    percentile in ms.
    """
    ms = sorted(each * 1000 for each in seconds)
    return Figure(name=name, value=median(ms), unit="ms", p95=ms[ceil(0.95 * len(ms)) - 1], highest=ms[-1], most=most)


def report(figures: Iterable[Figure]) -> int:
    """Print values as they are measured. Return 1 when one exceeds its limit."""
    status = 0
    for figure in figures:
        print(figure, flush=True)
        status |= not figure.is_met
    return status


def processor_time(work: Callable[[], object]) -> float:
    """Run work in this process, and return its processor time in seconds."""
    begun = time.process_time()
    work()
    return time.process_time() - begun
