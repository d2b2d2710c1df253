"""Processes of a chaos run: publishers, and workers of `manage.py consume` with a handler whose failures the seed
decides.
"""

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

# The events of one round trip. There are more keys, so a round trip has at most one event of a key, and the events of a
# key are stored in order even if some are sent again.
AT_ONCE = 20
WINDOW_MS = 3_600_000
ASK_AGAIN_AFTER = 0.05
# Seconds between events at the end of a run.
TRICKLE_EVERY = 0.05


class Phases:
    """Synchronises the publishers with the run.

    First, the planned events are published. When they are stored, a few events that never fail follow until the run
    sets `over`: if only poison were left, no attempt would succeed, and workers would then try only one event every
    half minute.
    """

    def __init__(self, publishers: int, start: Start) -> None:
        context = context_of(start)
        self._publishers = publishers
        self._published = context.Semaphore(0)
        self._seen = 0
        self.over = context.Event()

    def mark_published(self) -> None:
        """Record that one publisher has stored its planned events."""
        self._published.release()

    def are_all_published(self) -> bool:
        """Say whether all publishers have stored their planned events."""
        while self._published.acquire(block=False):
            self._seen += 1
        return self._seen == self._publishers


class Publisher:
    """Publishes the numbered events of one publisher, which `number` identifies."""

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
        """Publish at the planned rate until time or events run out, and then events that never fail until the run is
        over.
        """
        began, each = time.monotonic(), self._plan.publishers / self._plan.rate
        while (left := self._events_left()) and time.monotonic() < began + self._plan.seconds:
            self.step(min(AT_ONCE, left))
            time.sleep(max(0.0, began + self._published * each - time.monotonic()))
        self._phases.mark_published()
        self._kind = chaos_plan.SOUND
        while self._plan.poison and not self._phases.over.wait(TRICKLE_EVERY):
            self.step(1)

    def step(self, count: int) -> None:
        """Publish `count` events, and return when all of them are known to be stored."""
        numbers = range(self._published, self._published + count)
        answers, again = self._try_to_store(numbers), False
        while answers is None:
            again = True
            time.sleep(ASK_AGAIN_AFTER)
            answers = self._try_to_store(numbers)
        self._ledger.acknowledge(
            [Acknowledged(self._name(n), once.id, again) for n, once in zip(numbers, answers, strict=True)]
        )
        self._published += count

    def _events_left(self) -> int:
        return AT_ONCE if self._most is None else self._most - self._published

    def _try_to_store(self, numbers: range) -> list[StoreResult] | None:
        """Try to store the events. Return None if it is unknown whether all are stored."""
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
    """Records each event in the ledger, and fails if the seed says so for the event."""

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

    Every second worker has a consumer name of another host. The other workers cannot see that it died, so its events
    are delivered again after their lease. Events of the remaining workers are delivered again at once.
    """
    stop = Stop()
    stop.on_signals()
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    worker = open_worker(
        plan.bridge,
        say=lambda _: None,
        stop=stop,
        sink=Handler(plan, ledger.open_handling()),
        consumer=f"elsewhere-{number}:{os.getpid()}:{secrets.token_hex(4)}" if number % 2 else None,
        block_ms=BLOCK_MS,
    )
    try:
        worker.run()
    finally:
        worker.leave(connections.executor())


def _end_with_parent(parent: int) -> None:
    """End this process soon after its parent is killed, because no other process would end it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
