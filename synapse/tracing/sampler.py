"""The decision which requests and events are traced."""

from random import getrandbits

# The part of a trace id that decides, as in all of OpenTelemetry's ratio samplers: its last eight bytes.
_ALL = 1 << 64
_SAMPLED = frozenset("13579bdf")
_LENGTH = 55
# The traces beyond the ratio that callers may request: at most as many again as the ratio gives, and a burst of this
# many.
_GENEROSITY, _BURST = 2.0, 100.0


class Sampler:
    """Samples a ratio of all traces: the same traces as other services with this ratio.

    A trace that a caller marks as sampled is traced only when its id is within the ratio. Callers can choose ids within
    it, so at most twice the ratio of all requests is traced for them, beyond a burst of 100.

    Args:
        ratio: from 0 to 1.
        heeds_callers: whether traces that a caller marks as not sampled are not traced.
    """

    def __init__(self, ratio: float, *, heeds_callers: bool = True) -> None:
        self._bound = round(ratio * _ALL)
        self._heeds = heeds_callers
        self._gain = ratio * _GENEROSITY
        self._credit = _BURST

    def is_sampled(self, parent: str) -> bool:
        """Decide on a request with this `traceparent`, "" without one."""
        # Each decision adds to the allowance, including those on requests without a trace, because the allowance is a
        # share of all.
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
        """Decide on a stored event with this `traceparent` ("" without one), as at its publish. The events of a batch
        share a context, and each may have many attempts, so no further limit applies here.
        """
        if len(parent) != _LENGTH:
            return getrandbits(64) < self._bound
        # A publish over the limit is stored with the flag “not sampled” (`Tracer.refuse`), unless all traces are
        # sampled anyway.
        if (self._heeds or self._bound < _ALL) and parent[-1] not in _SAMPLED:
            return False
        try:
            return int(parent[19:35], 16) < self._bound
        except ValueError:
            return getrandbits(64) < self._bound

    def new_trace_id(self) -> str:
        """Return a new trace id that is within the ratio."""
        return f"{getrandbits(64):016x}{getrandbits(64) * self._bound >> 64 or 1:016x}"
