"""The parent's side of a handler process: starts the child, sends it events, watches it, and ends it when it hangs."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

import orjson
from django.conf import settings

from synapse.delivery.handlers import (
    BEGUN,
    RAISED,
    TAKEN,
    UNTOUCHED,
    HandlerOptions,
    SharedProgress,
    error_of,
    make_progress_file,
    pack_batch,
    unpack_fact,
)
from synapse.delivery.sink import Delivery
from synapse.errors.delivery import NotBegun, SinkBroken, SinkError

# The seconds that a handler's module may take to be imported.
START_PATIENCE = 60.0
# The interval at which the parent checks a working child, in seconds.
LOOK_EVERY = 0.05
# The seconds after which sending to a child fails. A child reads at once, unless it was frozen.
SEND_PATIENCE = 30
END_PATIENCE = 2.0
# The seconds that a handler may continue with events in flight after the process was asked to stop.
STOP_PATIENCE = 15.0

Outcome = SinkError | None


class HandlerProcess:
    """The child process of one handler. `stopping` returns whether this process was asked to stop."""

    def __init__(self, order: HandlerOptions, *, stopping: Callable[[], bool]) -> None:
        self._order = order
        self._stopping = stopping
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Connection[Any, Any]
        self._board: SharedProgress

    def is_running(self) -> bool:
        """Say whether a child runs. Clean up after one that was killed meanwhile."""
        if self._process is not None and self._process.poll() is not None:
            self.close()
        return self._process is not None

    def start(self) -> None:
        """Start the child and wait until its handler is imported. Return without a child when this process is asked to
        stop.

        Raises:
            SinkBroken: when the handler cannot be used.
        """
        self._start_process()
        deadline = time.monotonic() + START_PATIENCE
        fact = {"kind": "silent"}
        with contextlib.suppress(EOFError, OSError):
            while not self._stopping() and time.monotonic() < deadline:
                if self._channel.poll(LOOK_EVERY):
                    fact = unpack_fact(self._channel.recv_bytes())
                    break
        if fact.get("kind") == "ready":
            return
        stopping, how = self._stopping(), self._end_process()
        self.close()
        if not stopping:
            why = fact.get("text") or f"its process {how} before the handler was imported"
            raise SinkBroken(f"The handler {self._order.handler} cannot be used: {why}.")

    def run_batch(self, batch: Sequence[Delivery], may_begin: Callable[[], bool]) -> list[Outcome]:
        """Let the child handle a batch, and return the outcomes of its events.

        If the child ended or had to be ended, the last outcome says so, and the events behind it have none.
        """
        count = 1 if self._order.batch else len(batch)
        self._board.reset(count)
        raised: dict[int, SinkError] = {}
        try:
            self._channel.send_bytes(pack_batch(batch))
            ended = self._wait_for_batch(count, may_begin, raised)
        except (EOFError, OSError):
            ended = f"The handler did not return: its process {self._end_process()}"
        outcomes = self._build_outcomes(count, ended, raised)
        if ended:
            self.close()
        return outcomes * len(batch) if self._order.batch else outcomes

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._end_process()
            self._process = None
            self._board.close()

    def _start_process(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_PATIENCE, 0))
        board = make_progress_file(self._order.size)
        words = [str(theirs.fileno()), str(board), orjson.dumps(asdict(self._order)).decode()]
        # Lets the child import every module that this process can import.
        own = {"PYTHONPATH": os.pathsep.join(sys.path)}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", "bridges.handlers.child", *words],
                env={"DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE, **os.environ, **own},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), board),
            )
            self._board = SharedProgress(board, self._order.size)
        finally:
            theirs.close()
            os.close(board)
        self._channel = Connection(ours.detach())

    def _wait_for_batch(self, count: int, may_begin: Callable[[], bool], raised: dict[int, SinkError]) -> str:
        """Wait until the child has finished the batch. Return "", or a sentence on why the child had to be ended."""
        seen, since = b"", time.monotonic()
        look, end = since + LOOK_EVERY, float("inf")
        while True:
            if self._channel.poll(max(0.0, look - time.monotonic())):
                fact = unpack_fact(self._channel.recv_bytes())
                if fact.get("kind") == "end":
                    return ""
                if fact.get("kind") == "raised":
                    raised[fact["place"]] = error_of(fact)
            if (now := time.monotonic()) < look:
                continue
            look = now + LOOK_EVERY
            if not may_begin():
                self._board.request_stop()
            if self._stopping():
                end = min(end, now + STOP_PATIENCE)
            notes = self._board.outcomes(count)
            if notes != seen:
                seen, since = notes, now
            elif BEGUN in notes and now - since > self._order.timeout:
                self._end_process(kill=True)
                return f"The handler took longer than {self._order.timeout:g} s, and its process was ended"
            if now > end:
                self._end_process(kill=True)
                return f"The handler took longer than {STOP_PATIENCE:g} s after the stop was requested, and was ended"

    def _build_outcomes(self, count: int, ended: str, raised: dict[int, SinkError]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for place, note in enumerate(self._board.outcomes(count)):
            if note == TAKEN:
                outcomes.append(None)
            elif note == RAISED:
                outcomes.append(raised.get(place) or SinkError("The handler raised an error."))
            elif note == BEGUN:
                outcomes.append(SinkError(ended))
            elif note == UNTOUCHED and not ended:
                outcomes.append(NotBegun())
        return outcomes

    def _end_process(self, *, kill: bool = False) -> str:
        """End the child, and return how it ended, as a part of a sentence."""
        process = self._process
        if process is None:
            return "ended"
        # The child ends when it reads the end of the file in place of the next batch.
        self._channel.close()
        try:
            code = process.wait(0 if kill else END_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "was ended"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
