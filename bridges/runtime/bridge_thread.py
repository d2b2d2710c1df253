"""One bridge at work, in a thread of its own."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from django.db import connections as databases

from bridges.runtime.worker_factory import open_worker
from streams import connections
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery import membership
from synapse.delivery.group_join import Say
from synapse.delivery.shutdown import ThreadStop
from synapse.delivery.status import Status
from synapse.delivery.worker import Worker
from synapse.problems import Problem

logger = logging.getLogger(__name__)

# How long a thread waits for events, unless none came for long.
BLOCK_MS = 1000


class Run(Protocol):
    """What a supervisor needs of a bridge at work."""

    bridge: BridgeDefinition
    consumer: str

    @property
    def is_alive(self) -> bool:
        """Whether it works still."""

    def request_stop(self) -> None:
        """Ask it to finish what it has in hand."""

    def status(self) -> Status:
        """Say how it is; the last status when it is over."""


class ThreadRun:
    """Runs a bridge until it is stopped, its sink takes no more, or something is wrong with it.

    `drain`: until nothing is left. `say` gets what a person should know, a line each.
    """

    def __init__(self, bridge: BridgeDefinition, *, say: Say, drain: bool = False) -> None:
        self.bridge = bridge
        self.consumer = membership.fresh()
        self._say = say
        self._drain = drain
        self._stop = ThreadStop()
        self._worker: Worker | None = None
        self._began = time.time()
        self._failure = ""
        self._thread = threading.Thread(target=self._work, name=f"bridge {bridge.name}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it works still."""
        return self._thread.is_alive()

    def request_stop(self) -> None:
        """Ask it to finish what it has in hand."""
        self._stop.request()

    def status(self) -> Status:
        """Say how it is; the last status when it is over."""
        worker, failure = self._worker, self._failure
        status = worker.progress.status() if worker else Status(state="starting", since=self._began)
        if not failure:
            return status
        known: dict[str, Any] = {name: getattr(status, name) for name in Status.__dataclass_fields__}
        return Status(**{**known, "state": "failed", "since": self._began, "reason": failure})

    def _work(self) -> None:
        try:
            self._until_over()
        except Problem as problem:
            self._fail(problem.detail)
        except Exception as error:
            # A fault of ours, or of a sink's: this bridge says so and is tried again, the others go on.
            logger.exception("The bridge %s stopped working", self.bridge.name)
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            databases.close_all()

    def _until_over(self) -> None:
        worker = open_worker(
            self.bridge,
            say=self._say,
            stop=self._stop,
            consumer=self.consumer,
            drain=self._drain,
            block_ms=BLOCK_MS,
        )
        self._worker = worker
        self._stop.interrupt = worker.interrupt
        try:
            worker.run()
        finally:
            worker.leave(connections.executor())
        if worker.trouble or (worker.finished and not self._drain):
            self._fail(worker.trouble or "The sink takes no more.")

    def _fail(self, why: str) -> None:
        self._began = time.time()
        self._failure = why
        self._say(why)


Start = Callable[[BridgeDefinition], Run]
