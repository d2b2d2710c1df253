"""The programs that `up` keeps running beside itself, and how they notice its end.

A program that dies is started again. When `up` ends, even by a crash, its programs end, too: each inherits one end of a
pipe (the lifeline). Only `up` holds the other end, which the operating system closes with it.
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

# The environment variable with the descriptor of the inherited end of the lifeline.
LIFELINE = "SYNAPSE_LIFELINE_FD"
STOP_PATIENCE = 20.0
POLL = 0.02
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Child:
    """One program, started again whenever it ends. It runs in a session of its own, so that Ctrl-C reaches `up` only.

    `inherited` are the descriptors that stay open in the program.
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
        """The id of the running process, None when it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        with _defer_interrupt():
            self._process = subprocess.Popen(  # noqa: S603 - Synapse's own command line
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                pass_fds=self._inherited,
                start_new_session=True,
            )

    def exit_description(self) -> str | None:
        """Return a description of how the process ended, None while it runs."""
        with _defer_interrupt():
            code = self._process.poll() if self._process else None
        if code is None:
            return None
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"

    def step(self) -> bool:
        """Start the program again if it has ended and its wait is over. Return False when there was nothing to do."""
        if (how := self.exit_description()) is not None:
            self._kill_rest()
            self._process = None
            self._say(f"The {self.name} {how}; starting it again in {self._retry.record_failure():g} s.")
            return True
        if self._process is None and self._retry.is_due():
            self.start()
            return True
        return False

    def ask_to_stop(self) -> None:
        if self._process:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and all processes that it started."""
        with _defer_interrupt():
            if self._process and self.exit_description() is None:
                self._kill_rest()
                self._process.wait()

    def _kill_rest(self) -> None:
        """Kill the remaining processes of the session: workers of a dead master would keep its port."""
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # no process is left (macOS reports it so)
                os.killpg(self._process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _defer_interrupt() -> Iterator[None]:
    """Defer a signal that raises KeyboardInterrupt to the end of the block.

    The interrupt could occur between any two instructions, even when `subprocess` has just taken one of its own locks.
    The lock would stay taken, and waiting for the program would never end.
    """
    heard = []
    numbers = [number for number in _STOPPING if signal.getsignal(number) is signal.default_int_handler]
    if threading.current_thread() is not threading.main_thread():
        numbers = []  # signal handlers run in the main thread only
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
    """Keeps programs running until it is stopped, or until its own process ends."""

    def __init__(self, *, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lifeline, self._our_end = os.pipe()  # never closed here: the end of this process closes it
        self._inherited = [self._lifeline]
        self._children: list[Child] = []

    def inherit(self, descriptor: int) -> None:
        """Keep this descriptor open in programs that are started from now on."""
        self._inherited.append(descriptor)

    def add(self, name: str, command: Sequence[str]) -> Child:
        """Start a program and keep it running. `name` is its name in messages to people, such as "the web server"."""
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
        """Restart programs that have ended. Return False when there were none."""
        busy = [child.step() for child in self._children]  # each program gets its step, even after an error of another
        return any(busy)

    def stop(self) -> None:
        """Stop all programs: give them 20 seconds to finish their work, then kill them."""
        for child in self._children:
            child.ask_to_stop()
        deadline = time.monotonic() + STOP_PATIENCE
        while time.monotonic() < deadline and any(
            child.pid and not child.exit_description() for child in self._children
        ):
            time.sleep(POLL)
        self.kill()

    def kill(self) -> None:
        """End all programs at once."""
        for child in self._children:
            child.kill()
        self._children.clear()


def stop_with_parent() -> None:
    """Stop this process when the process that started it is gone, even by kill -9.

    This is for the programs that `up` starts, and for worker processes that they start with `multiprocessing`. The
    process gets SIGTERM, and SIGKILL if it still runs 20 seconds later. It does nothing for a process that was started
    by hand.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        _stop_when(lambda: multiprocessing.connection.wait([sentinel]))
    elif LIFELINE in os.environ:
        lifeline = int(os.environ.pop(LIFELINE))
        _stop_when(lambda: os.read(lifeline, 1))


def _stop_when(parent_is_gone: Callable[[], object]) -> None:
    def wait_and_stop() -> None:
        parent_is_gone()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_PATIENCE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait_and_stop, name="stop-with-parent", daemon=True).start()
