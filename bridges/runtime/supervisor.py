"""Many bridges in one process: those that are wanted run, the others do not, and each says how it is."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridges.runtime.bridge_thread import Run, Start
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.status import Status

# A bridge that failed is tried again after so many seconds: whatever is wrong may have been put right elsewhere.
TRY_AGAIN = 15.0
REPORT_EVERY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How a bridge is, by the word of one consumer; None when it is gone and has nothing to say."""

    bridge: BridgeDefinition
    consumer: str
    status: Status | None


class Supervisor:
    """Keeps the bridges running that `wanted` returns, by name, as it changes.

    `start` starts one. `report` gets how each is every second; what it does with that is not waited for by bridges, and
    its failures are its own. `once`: a bridge that is over is not started again.
    """

    def __init__(
        self,
        wanted: Callable[[], Mapping[str, BridgeDefinition]],
        *,
        start: Start,
        report: Callable[[Sequence[Report]], None],
        once: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wanted = wanted
        self._start = start
        self._report = report
        self._once = once
        self._clock = clock
        self._runs: dict[str, Run] = {}
        self._over: dict[str, float] = {}
        # Those that were asked to stop: that they ended is no failure.
        self._asked: set[str] = set()
        self._due = float("-inf")
        self._began = False

    @property
    def is_over(self) -> bool:
        """Say whether nothing runs any more, and nothing will."""
        return self._once and self._began and not any(run.is_alive for run in self._runs.values())

    def step(self) -> bool:
        """Stop what is not wanted any more, or not like this, and start what is. Return False when nothing was to do.

        Raises:
            Exception: what `wanted` raises; the bridges go on.
        """
        wanted = self._wanted()
        self._began = True
        changed = [self._look_after(name, run, wanted.get(name)) for name, run in list(self._runs.items())]
        changed += [self._begin(bridge) for name, bridge in wanted.items() if name not in self._runs]
        if self._clock() >= self._due or any(changed):
            self._due = self._clock() + REPORT_EVERY
            self._report([self._word_of(run) for run in self._runs.values()])
        return any(changed)

    def stop(self, patience: float, wait: Callable[[float], None] = time.sleep) -> bool:
        """Ask all bridges to finish, and wait for it so many seconds. Return whether all did."""
        for run in self._runs.values():
            run.request_stop()
        deadline = self._clock() + patience
        while any(run.is_alive for run in self._runs.values()) and self._clock() < deadline:
            wait(0.02)
        self._report([Report(bridge=run.bridge, consumer=run.consumer, status=None) for run in self._runs.values()])
        return not any(run.is_alive for run in self._runs.values())

    def totals(self) -> list[tuple[BridgeDefinition, Status]]:
        """Return how each bridge is that runs, or ran last."""
        return [(run.bridge, run.status()) for run in self._runs.values()]

    def _begin(self, bridge: BridgeDefinition) -> bool:
        self._runs[bridge.name] = self._start(bridge)
        return True

    def _look_after(self, name: str, run: Run, wanted: BridgeDefinition | None) -> bool:
        """Do what is to do about one run. Return whether that was something."""
        if run.is_alive:
            # Mostly it is the same object: comparing a thousand definitions field by field takes a while.
            if wanted is not run.bridge and wanted != run.bridge:
                run.request_stop()
                self._asked.add(name)
            return False
        due = self._over.setdefault(name, self._clock() + TRY_AGAIN)
        if wanted == run.bridge and name not in self._asked and (self._once or self._clock() < due):
            return False
        self._over.pop(name, None)
        self._asked.discard(name)
        self._report([Report(bridge=run.bridge, consumer=run.consumer, status=None)])
        del self._runs[name]
        return True if wanted is None else self._begin(wanted)

    def _word_of(self, run: Run) -> Report:
        return Report(bridge=run.bridge, consumer=run.consumer, status=run.status())
