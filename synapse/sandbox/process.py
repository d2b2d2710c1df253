"""The parent's end of the sandbox: starts the child, asks it, and replaces it when it has ended."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from synapse.errors.contracts import BadSchema, SandboxBusy, SchemaTooCostly, SchemaTooLarge, UnresolvedReference
from synapse.sandbox.messages import Limits, Message, unpack_answer

WAIT_FOR_CHILD = 10.0
"""The limit on the wait for other callers of the same child, in seconds."""
_WAIT_FOR_START = 60.0
# The factor between elapsed and processor time: on a busy machine, the child gets only a part of a processor.
_CLOCK_TO_PROCESSOR_TIME = 10
_PROBLEMS = {each.__name__: each for each in (BadSchema, SchemaTooLarge, UnresolvedReference)}
# The exits of a child that exceeded a limit: processor time, memory, or the depth of the stack.
_LIMIT_SIGNALS = frozenset((signal.SIGXCPU, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS))


class _ChildEnded(Exception):
    """The child has ended. `signal` is the signal that ended it, 0 when it ended by itself."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


class Sandbox:
    """One child process, used by one thread at a time. It starts with the first question."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Connection[Any, Any]

    @property
    def pid(self) -> int | None:
        """The process id of the child, None while there is none."""
        return None if self._process is None else self._process.pid

    @contextlib.contextmanager
    def session(self) -> Iterator["Session"]:
        """Reserve the child. All questions within the block share one budget of processor time.

        Raises:
            SandboxBusy: when other threads hold it for too long.
        """
        if not self._lock.acquire(timeout=WAIT_FOR_CHILD):
            raise SandboxBusy
        try:
            yield Session(self)
        finally:
            self._lock.release()

    def ask(self, question: str, *arguments: Any) -> Any:
        """Return the answer to one question, with a new budget.

        Raises:
            BadSchema: when the child refuses the schema, or died because of it.
            SandboxBusy: when other threads hold it for too long, or another caller ended it.
        """
        with self.session() as session:
            return session.ask(question, *arguments)

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._channel.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def send(self, message: Message) -> Any:
        """Send one message and return the answer, which may be a problem.

        Raises:
            _Ended: when the child ended before it answered.
        """
        if self._process is None:
            self._start()
        try:
            self._channel.send_bytes(message.pack())
            if not self._channel.poll(self.limits.seconds * _CLOCK_TO_PROCESSOR_TIME + _WAIT_FOR_START):
                self.close()
                raise _ChildEnded(signal.SIGKILL)
            return unpack_answer(self._channel.recv_bytes())
        except (EOFError, OSError):
            raise _ChildEnded(self._reap_child()) from None

    def forget(self) -> None:
        """Leave the child to the process that started it, after a fork: this process is the copy."""
        self._process = None
        self._lock = threading.Lock()

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - Synapse's own command line
                [sys.executable, "-m", "synapse.sandbox.child", str(theirs.fileno())],
                # The child imports the same code as this process. It needs neither settings nor secrets.
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        finally:
            theirs.close()
        self._channel = Connection(ours.detach())

    def _reap_child(self) -> int:
        process = self._process
        if process is None:
            return 0
        self._channel.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.returncode is None:
            process.kill()
            process.wait()
        self._process = None
        return max(0, -process.returncode)


class Session:
    """The questions of one caller. The first one begins the budget of processor time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._is_new = True

    def ask(self, question: str, *arguments: Any) -> Any:
        """Return the answer to a question.

        Raises:
            BadSchema: when the child refuses the schema, or died because of it.
            SandboxBusy: when another caller ended it.
        """
        limits = self._sandbox.limits if self._is_new else None
        try:
            answer = self._send_first(Message(question, arguments, limits))
        except _ChildEnded as end:
            if end.signal in _LIMIT_SIGNALS:
                raise SchemaTooCostly(self._sandbox.limits.seconds, self._sandbox.limits.megabytes) from None
            raise SandboxBusy from None
        if "problem" in answer:
            problem = _PROBLEMS[answer["problem"]]
            raise problem(answer["detail"], pointer=answer["pointer"])
        if "too_much" in answer:
            self._sandbox.close()
            raise SchemaTooCostly(self._sandbox.limits.seconds, self._sandbox.limits.megabytes)
        return answer["value"]

    def _send_first(self, message: Message) -> Any:
        try:
            return self._sandbox.send(message)
        except _ChildEnded as end:
            # A child without questions ends by itself, or another caller ended it: start another one.
            if not self._is_new or end.signal in _LIMIT_SIGNALS:
                raise
            return self._sandbox.send(message)
        finally:
            self._is_new = False


QUESTIONS = Sandbox(Limits(seconds=3, megabytes=1024))
"""For what many ask, and what takes little: whether a schema can be a contract's, and whether it is compatible."""
BACK_TESTS = Sandbox(Limits(seconds=15, megabytes=1024))
"""For what takes a while."""
EVENTS = Sandbox(Limits(seconds=1, megabytes=1024))
"""For events that take too long to be checked on the event loop."""
_ALL = (QUESTIONS, BACK_TESTS, EVENTS)


def close() -> None:
    """End the children."""
    for sandbox in _ALL:
        sandbox.close()


def _forget() -> None:
    for sandbox in _ALL:
        sandbox.forget()


atexit.register(close)
os.register_at_fork(after_in_child=_forget)
