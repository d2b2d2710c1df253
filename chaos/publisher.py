"""A publisher: stores events through the script of idempotent publishing, and asks again until it knows."""

import time

from chaos import plan as chaos_plan
from chaos.ledger import Acknowledged, Ledger
from chaos.plan import (
    KEY,
    KEYS,
    STREAM,
    Plan,
    Start,
)
from chaos.process_pool import context_of
from streams import connections
from synapse.errors.streams import Unavailable
from synapse.redis import Command, ReplyError, SyncExecutor
from synapse.redis.commands.publishing import Once, publish_once

# Events of one round trip. Fewer than there are keys: two of a key are never on their way together, so whatever has to
# be sent again, those of a key are stored in their order.
AT_ONCE = 20
WINDOW_MS = 3_600_000
ASK_AGAIN_AFTER = 0.05
# Between sound events at the end.
TRICKLE_EVERY = 0.05


class Phases:
    """What publishers and the run tell each other.

    First come the planned events. When those are stored, sound ones go on coming, few, until the run says that it is
    over: where nothing but poison is left no attempt succeeds, and workers then try one event every half minute.
    """

    def __init__(self, publishers: int, start: Start) -> None:
        context = context_of(start)
        self._publishers = publishers
        self._published = context.Semaphore(0)
        self._seen = 0
        self.over = context.Event()

    def published(self) -> None:
        """Note that one publisher has stored what was planned."""
        self._published.release()

    def all_published(self) -> bool:
        """Say whether all have."""
        while self._published.acquire(block=False):
            self._seen += 1
        return self._seen == self._publishers


class Publisher:
    """Publishes the numbered events of one publisher. `number` tells it from the others."""

    def __init__(self, plan: Plan, number: int, executor: SyncExecutor, ledger: Ledger, phases: Phases) -> None:
        self._plan = plan
        self._number = number
        self._executor = executor
        self._ledger = ledger
        self._phases = phases
        self._published = 0
        self._kind = ""
        share, rest = divmod(plan.events, plan.publishers)
        self._most = share + (number < rest) if plan.events else None

    def run(self) -> None:
        """Publish at the planned rate until the time is over, or the events are; then sound ones until all is over."""
        began, each = time.monotonic(), self._plan.publishers / self._plan.rate
        while (left := self._left()) and time.monotonic() < began + self._plan.seconds:
            self.step(min(AT_ONCE, left))
            time.sleep(max(0.0, began + self._published * each - time.monotonic()))
        self._phases.published()
        self._kind = chaos_plan.SOUND
        while self._plan.poison and not self._phases.over.wait(TRICKLE_EVERY):
            self.step(1)

    def step(self, count: int) -> None:
        """Publish so many events, and return when it is known that all of them are stored."""
        numbers = range(self._published, self._published + count)
        answers, again = self._stored(numbers), False
        while answers is None:
            again = True
            time.sleep(ASK_AGAIN_AFTER)
            answers = self._stored(numbers)
        self._ledger.acknowledge(
            [Acknowledged(self._name(n), once.id, again) for n, once in zip(numbers, answers, strict=True)]
        )
        self._published += count

    def _left(self) -> int:
        return AT_ONCE if self._most is None else self._most - self._published

    def _stored(self, numbers: range) -> list[Once] | None:
        """Ask for the events to be stored. None: it is not known whether all are."""
        try:
            answers = self._executor.execute([self._command(n) for n in numbers])
        except Unavailable:
            return None
        if any(isinstance(answer, ReplyError) for answer in answers):
            return None
        return answers

    def _command(self, number: int) -> Command:
        name = self._name(number)
        words = {"event_type": "chaos-step", "name": name, KEY: f"{self._number}-{number % KEYS}"}
        fields = [part for pair in words.items() for part in pair]
        return publish_once(STREAM, fields, who="chaos", key=name, fingerprint=name, window_ms=WINDOW_MS)

    def _name(self, number: int) -> str:
        return f"{self._number}-{number}{self._kind}"


def work(plan: Plan, number: int, ledger: Ledger, phases: Phases) -> None:
    """Be a publisher's process."""
    Publisher(plan, number, SyncExecutor(connections.server()), ledger, phases).run()
