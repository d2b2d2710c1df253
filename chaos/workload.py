"""Processes of a chaos run: publishers, and workers of `manage.py consume` whose handler fails by the seed."""

import os
import secrets
import threading
import time

from bridges.runtime.worker_factory import open_worker
from chaos import plan as chaos_plan
from chaos.launcher import context_of
from chaos.ledger import Acknowledged, Handled, HandlingLedger, Ledger
from chaos.plan import KEY, KEYS, STREAM, Plan, Start
from streams import connections
from synapse.delivery.shutdown import Stop
from synapse.delivery.sink import Delivery, OneByOne
from synapse.errors.delivery import SinkError
from synapse.redis import Command, RedisUnavailable, ReplyError, SyncExecutor
from synapse.redis.commands.publishing import StoreResult, publish_once

# Events of one round trip. Fewer than there are keys: two of a key are never on their way together, so the events of a
# key are stored in their order even when some are sent again.
AT_ONCE = 20
WINDOW_MS = 3_600_000
ASK_AGAIN_AFTER = 0.05
# Between sound events at the end.
TRICKLE_EVERY = 0.05


class Phases:
    """Shared events by which the publishers and the run synchronise.

    First come the planned events. When those are stored, a few sound ones follow until the run says that it is
    over: where nothing but poison is left no attempt succeeds, and workers then try one event every half minute.
    """

    def __init__(self, publishers: int, start: Start) -> None:
        context = context_of(start)
        self._publishers = publishers
        self._published = context.Semaphore(0)
        self._seen = 0
        self.over = context.Event()

    def published(self) -> None:
        """Note that one publisher has stored its planned events."""
        self._published.release()

    def all_published(self) -> bool:
        """Say whether all publishers have."""
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
        """Publish at the planned rate until time or events run out, then sound events until the run is over."""
        began, each = time.monotonic(), self._plan.publishers / self._plan.rate
        while (left := self._left()) and time.monotonic() < began + self._plan.seconds:
            self.step(min(AT_ONCE, left))
            time.sleep(max(0.0, began + self._published * each - time.monotonic()))
        self._phases.published()
        self._kind = chaos_plan.SOUND
        while self._plan.poison and not self._phases.over.wait(TRICKLE_EVERY):
            self.step(1)

    def step(self, count: int) -> None:
        """Publish that many events, and return when all of them are known to be stored."""
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

    def _stored(self, numbers: range) -> list[StoreResult] | None:
        """Try to store the events. Return None when it is unknown whether all are stored."""
        try:
            answers = self._executor.execute([self._command(n) for n in numbers])
        except RedisUnavailable:
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


def run_publisher(plan: Plan, number: int, ledger: Ledger, phases: Phases) -> None:
    """Run a publisher process."""
    Publisher(plan, number, SyncExecutor(connections.server()), ledger, phases).run()


BLOCK_MS = 500


class Handler(OneByOne):
    """Records each event that it gets, and fails when the seed decided so for the event."""

    def __init__(self, plan: Plan, ledger: HandlingLedger) -> None:
        self._plan = plan
        self._ledger = ledger

    def take(self, delivery: Delivery) -> None:
        fields = delivery.fields
        name, key = fields[b"name"].decode(), fields[KEY.encode()].decode()
        plan = self._plan
        self._ledger.write(Handled("began", name, key, delivery.id))
        if plan.work:
            time.sleep(plan.work)
        if chaos_plan.is_poison(plan.seed, name, plan.poison):
            raise SinkError("poison")
        if chaos_plan.fails(plan.seed, name, delivery.attempt, plan.failures):
            raise SinkError("bad luck")
        self._ledger.write(Handled("done", name, key, delivery.id))


def run_worker(plan: Plan, number: int, ledger: Ledger) -> None:
    """Run a worker process until SIGTERM.

    Every second worker has the name of a consumer of another host: nobody can see that it died, so its events are
    delivered again when their lease is over. The events of the other workers are delivered again at once.
    """
    stop = Stop()
    stop.on_signals()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    worker = open_worker(
        plan.bridge,
        say=lambda _: None,
        stop=stop,
        sink=Handler(plan, ledger.handling()),
        consumer=f"elsewhere-{number}:{os.getpid()}:{secrets.token_hex(4)}" if number % 2 else None,
        block_ms=BLOCK_MS,
    )
    try:
        worker.run()
    finally:
        worker.leave(connections.executor())


def _end_with_parent(parent: int) -> None:
    """End this process soon after its parent was killed: no other process would end it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
