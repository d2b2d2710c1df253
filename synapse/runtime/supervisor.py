"""The programs that `up` keeps running beside itself, and how they learn that it is gone.

A program that dies is started again. When `up` ends, however it ends, its programs end too: each inherits one end of a
pipe (the lifeline) whose other end only `up` holds, and the operating system closes that with its holder.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from synapse.runtime.periodic import RetryTimer

# Names the inherited end of the lifeline in a program's environment.
LIFELINE = "SYNAPSE_LIFELINE_FD"
STOP_PATIENCE = 20.0
POLL = 0.02
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """One program, started again whenever it ends. It runs in a session of its own: Ctrl-C reaches `up` alone.

    `inherited` are descriptors that stay open in the program.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: dict[str, str],
        inherited: Sequence[int],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._inherited = inherited
        self._say = say
        self._retry = RetryTimer(clock=clock)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the running process, or None between two lives."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        with _undisturbed():
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=self._inherited,
                start_new_session=True,
            )

    def ended(self) -> str | None:
        """Return how the process ended, in words, or None while it runs."""
        with _undisturbed():
            code = self._process.poll() if self._process else None
        if code is None:
            return None
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def step(self) -> bool:
        """Start the program again if it ended and its wait is over. Return False when there was nothing to do."""
        if (how := self.ended()) is not None:
            self._kill_rest()
            self._process = None
            self._say(f"The {self.name} {how}; starting it again in {self._retry.failed():g} s.")
            return True
        if self._process is None and self._retry.is_due():
            self.start()
            return True
        return False

    def ask_to_stop(self) -> None:
        if self._process:
            self._process.terminate()

    def kill(self) -> None:
        """End the process and all it started, at once."""
        with _undisturbed():
            if self._process and self.ended() is None:
                self._kill_rest()
                self._process.wait()

    def _kill_rest(self) -> None:
        """Kill the remaining processes of the session: workers whose master died would keep its port."""
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing is left (macOS says it so)
                os.killpg(self._process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let a signal that raises KeyboardInterrupt do so at the end of the block.

    It would do so between any two instructions, also where `subprocess` has just taken a lock of its own. The lock
    would stay taken, and waiting for the program would never end.
    """
    heard = []
    numbers = [number for number in _STOPPING if signal.getsignal(number) is signal.default_int_handler]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # handlers run in the main thread alone
    for number in numbers:
        signal.signal(number, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.default_int_handler)
    if heard:
        raise KeyboardInterrupt


class Supervisor:
    """Keeps programs running until it is told to stop, or until its own process ends."""

    def __init__(self, *, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lifeline, self._our_end = os.pipe()  # never closed here: the end of this process does it
        self._inherited = [self._lifeline]
        self._children: list[Child] = []

    def inherit(self, descriptor: int) -> None:
        """Let programs started from now on keep this descriptor open."""
        self._inherited.append(descriptor)

    def add(self, name: str, command: Sequence[str]) -> Child:
        """Start a program and keep it running. `name` is how a person reads of it: "the web server"."""
        environment = os.environ | {LIFELINE: str(self._lifeline)}
        child = Child(
            name,
            command,
            environment=environment,
            inherited=self._inherited,
            say=self._say,
            clock=self._clock,
        )
        self._children.append(child)
        child.start()
        return child

    def step(self) -> bool:
        """Restart programs that ended. Return False when there were none."""
        busy = [child.step() for child in self._children]  # each gets its step, even after an error of another
        return any(busy)

    def stop(self) -> None:
        """Stop all programs: let them finish their work for 20 seconds, then kill them."""
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_PATIENCE
        while time.monotonic() < deadline and any(child.pid and not child.ended() for child in self._children):
            time.sleep(POLL)
        self.kill()

    def kill(self) -> None:
        """End all programs at once."""
        for child in self._children:
            child.kill()
        self._children.clear()


def stop_with_parent() -> None:
    """From now on, stop this process when the process that started it is gone, even by kill -9.

    For the programs that `up` starts, and for worker processes that they start with `multiprocessing`. The process
    gets SIGTERM, and SIGKILL if it still runs 20 seconds later. Started by hand, it lives on its own.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        _when(lambda: multiprocessing.connection.wait([sentinel]))
    elif LIFELINE in os.environ:
        lifeline = int(os.environ.pop(LIFELINE))
        _when(lambda: os.read(lifeline, 1))


def _when(parent_is_gone: Callable[[], object]) -> None:
    def wait_and_stop() -> None:
        parent_is_gone()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_PATIENCE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_and_stop, name="stop-with-parent", daemon=True).start()
