"""A worker's process: the worker of `manage.py consume`, with a handler that fails as the seed wants it."""

import os
import secrets
import threading
import time

from bridges.runtime.worker_factory import open_worker
from chaos import plan as chaos_plan
from chaos.ledger import Handled, HandlingLedger, Ledger
from chaos.plan import KEY, Plan
from streams import connections
from synapse.delivery.event_delivery import Delivery
from synapse.delivery.shutdown import Stop
from synapse.delivery.sinks.base import OneByOne
from synapse.errors.delivery import SinkError

BLOCK_MS = 500


class Handler(OneByOne):
    """Writes down what it gets, and fails when it is the event's fate."""

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


def work(plan: Plan, number: int, ledger: Ledger) -> None:
    """Be a worker's process, until SIGTERM.

    Every second worker has the name of a consumer of another host: nobody can see that it died, so what it had comes
    back when its lease is over. What the others had comes back at once.
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
    """End this process soon after its parent was killed: nobody else would."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
