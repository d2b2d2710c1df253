"""Decide which requests and events are traced."""

from random import getrandbits

# The part of a trace id that decides, as in all of OpenTelemetry's samplers by ratio: its last eight bytes.
_ALL = 1 << 64
_SAMPLED = frozenset("13579bdf")
_LENGTH = 55
# Traces that callers ask for beyond our ratio: at most as many again as our ratio gives, and this many at once.
_GENEROSITY, _BURST = 2.0, 100.0


class Sampler:
    """Samples the ratio of all traces, the same ones as other services with that ratio.

    A caller that names a trace as sampled gets it within the ratio only. Trace ids can be chosen, so that all of them
    are within it: of all requests, at most twice the ratio are traced for such callers, beyond a burst of 100.

    Args:
        ratio: from 0 to 1.
        heeds_callers: whether what a caller does not sample is not traced.
    """

    def __init__(self, ratio: float, *, heeds_callers: bool = True) -> None:
        self._bound = round(ratio * _ALL)
        self._heeds = heeds_callers
        self._gain = ratio * _GENEROSITY
        self._credit = _BURST

    def is_sampled(self, parent: str) -> bool:
        """Decide on a request with this `traceparent`, "" without one."""
        # Each decision earns, also of what comes without a trace: those that name one are a share of all.
        credit = self._credit = min(_BURST, self._credit + self._gain)
        if len(parent) != _LENGTH:
            return getrandbits(64) < self._bound
        if self._heeds and parent[-1] not in _SAMPLED:
            return False
        try:
            if int(parent[19:35], 16) >= self._bound or credit < 1:
                return False
        except ValueError:
            return getrandbits(64) < self._bound
        self._credit = credit - 1
        return True

    def is_event_sampled(self, parent: str) -> bool:
        """Decide on a stored event with this `traceparent`, "" without one: as was decided when it was published. The
        events of a batch share a context, and many attempts may come of each, so nothing is limited here again."""
        if len(parent) != _LENGTH:
            return getrandbits(64) < self._bound
        # A trace that a publish refuses is stored as not sampled (`Tracer.refuse`), unless all are sampled anyway.
        if (self._heeds or self._bound < _ALL) and parent[-1] not in _SAMPLED:
            return False
        try:
            return int(parent[19:35], 16) < self._bound
        except ValueError:
            return getrandbits(64) < self._bound

    def new_trace_id(self) -> str:
        """Return the id of a new trace that is within the ratio."""
        return f"{getrandbits(64):016x}{getrandbits(64) * self._bound >> 64 or 1:016x}"
