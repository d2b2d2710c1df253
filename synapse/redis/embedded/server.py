"""Starts, adopts, stops and restarts the embedded server."""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from synapse.redis.command import Command
from synapse.redis.embedded import endpoint as embedded_endpoint
from synapse.redis.embedded import process
from synapse.redis.embedded.endpoint import LOOPBACK, EmbeddedRedisError, Endpoint, read_endpoint, write_endpoint
from synapse.redis.embedded.process import State, probe_server
from synapse.redis.errors import RedisUnavailable, ReplyError, ReplyLost
from synapse.runtime.periodic import RetryTimer
from synapse.runtime.ports import any_free, is_free
from synapse.runtime.private_files import protect_tree, take_lock

# The server process holds this lock from before its start until it ends, so that no two servers use one folder.
SERVER_LOCK = "server.lock"
# A process holds this lock while it decides whether to start or stop a server, and until that is done.
SUPERVISOR_LOCK = "supervisor.lock"

PORTS = range(6379, 6399)
# The server's log message about a port that another program uses.
PORT_TAKEN = "Address already in use"
STARTS = 5  # another program can take a port between its choice and the server's start
PORT_PATIENCE = 0.3
STOP_PATIENCE = 10.0
POLL = 0.02


@dataclass(frozen=True, slots=True)
class EmbeddedRedis:
    """The embedded server whose data is in `folder`.

    `say` gets lines of progress. `patience` is the time in seconds that a start may take without progress. `program` is
    the server to run, None for the one that comes with Synapse.
    """

    folder: Path
    say: Callable[[str], None] = lambda _: None
    patience: float = 60.0
    program: Path | None = None

    def ensure_running(self) -> Endpoint:
        """Return the address of the running server, or start one on the same data.

        Raises:
            EmbeddedRedisError: when no server can run here; the message has the reason and the last lines of the log.
        """
        with self._supervision():
            lock = self._take_server_lock()
            if lock is None:
                # The server may end while it is probed (because it was reading a broken log): then start it again.
                endpoint = self._read_recorded()
                lock = self._await_ready(endpoint)
                if lock is None:
                    return endpoint
            return self._start(lock)

    def stop(self) -> None:
        """Stop the server, and return when it has ended. Does nothing when no server runs.

        Raises:
            EmbeddedRedisError: when it still runs after the request to stop, SIGTERM and SIGKILL.
        """
        with self._supervision():
            # SIGKILL loses nothing: every acknowledged write is on disk.
            if not (
                self._stop_with(lambda: self._shut_down() or self._signal(signal.SIGTERM))
                or self._stop_with(lambda: self._signal(signal.SIGKILL))
            ):
                raise EmbeddedRedisError(f"The embedded Redis of {self.folder} does not stop; see {self._log}.")

    @contextlib.contextmanager
    def _supervision(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            for problem in protect_tree(self.folder):
                self.say(problem)
            lock = self._take_supervisor_lock()
            try:
                yield
            finally:
                os.close(lock)
        except OSError as error:
            raise EmbeddedRedisError(f"Cannot run the embedded Redis in {self.folder}: {error}") from error

    def _take_supervisor_lock(self) -> int:
        lock = take_lock(self.folder / SUPERVISOR_LOCK)
        if lock is None:
            self.say("Another process is starting or stopping the embedded Redis; waiting for it.")
        while lock is None:
            time.sleep(POLL)
            lock = take_lock(self.folder / SUPERVISOR_LOCK)
        return lock

    def _start(self, lock: int) -> Endpoint:
        """Start a server that takes over `lock`, and wait until it replies."""
        for _ in range(STARTS):
            log_start = self._log.stat().st_size if self._log.exists() else 0
            endpoint = self._launch(lock)
            given_back = self._await_ready(endpoint)
            if given_back is None:
                return endpoint
            lock = given_back
            # The program that used the port may have released it by now, so the server's own log message counts, too.
            if _is_free(endpoint.port) and PORT_TAKEN not in self._end_of_log(log_start):
                break
        os.close(lock)
        raise EmbeddedRedisError(f"The embedded Redis did not start. {self._end_of_log(log_start)}")

    def _launch(self, lock: int) -> Endpoint:
        """Start the program in the background. This process closes its copy of the lock; the server keeps its own."""
        try:
            program = self.program or process.find_server()
            endpoint = self._choose_endpoint()
            # Written before the start, because a server without a record could not be adopted.
            write_endpoint(self.folder, endpoint)
            path = embedded_endpoint.write_configuration(self.folder, endpoint)
            process.start_server(program, path, keep_open=lock)
        finally:
            os.close(lock)
        return endpoint

    def _choose_endpoint(self) -> Endpoint:
        """Return the last address if its port is free, else an address with another port and the same password."""
        last = None
        with contextlib.suppress(EmbeddedRedisError):  # no server runs: an unreadable record is replaced
            last = read_endpoint(self.folder)
        if last and _becomes_free(last.port):
            return last
        port = next(filter(_is_free, PORTS), None) or any_free(LOOPBACK)
        return Endpoint(port=port, password=last.password if last else secrets.token_urlsafe(32))

    def _await_ready(self, endpoint: Endpoint) -> int | None:
        """Wait until the running server replies. When it ends instead, return its lock, which this process then
        holds.
        """
        loaded, since, told = 0, time.monotonic(), ""
        while (lock := self._take_server_lock()) is None:
            look = probe_server(endpoint)
            if look.state is State.READY:
                return None
            if look.state is State.LOADING and look.said != told:
                self.say(f"The embedded Redis {look.said}.")
                told = look.said
            if look.loaded > loaded:
                loaded, since = look.loaded, time.monotonic()
            if time.monotonic() - since > self.patience:
                raise EmbeddedRedisError(f"The embedded Redis runs, but {look.said}. {self._end_of_log(0)}")
            time.sleep(POLL)
        return lock

    def _read_recorded(self) -> Endpoint:
        endpoint = read_endpoint(self.folder)
        if endpoint is None:
            raise EmbeddedRedisError(
                f"A Redis server works on {self.folder}, but its address was removed. "
                f"Stop it first (process {self._pid() or 'unknown'})."
            )
        return endpoint

    def _take_server_lock(self) -> int | None:
        return take_lock(self.folder / SERVER_LOCK)

    def _is_gone(self) -> bool:
        lock = self._take_server_lock()
        if lock is not None:
            os.close(lock)
        return lock is not None

    def _stop_with(self, ask: Callable[[], bool]) -> bool:
        """Call `ask` until the request reaches the server, which may just have been started, then wait for the server's
        end. Return whether it has ended.
        """
        deadline, asked = time.monotonic() + STOP_PATIENCE, False
        while not (gone := self._is_gone()) and time.monotonic() < deadline:
            asked = asked or ask()
            time.sleep(POLL)
        return gone

    def _shut_down(self) -> bool:
        try:
            process.ask_server(self._read_recorded(), Command(("SHUTDOWN",)))
        except ReplyLost as failure:
            return not process.was_late(failure)  # the server confirms by closing the connection
        except (RedisUnavailable, ReplyError, EmbeddedRedisError):
            return False  # not reachable this way, or refused
        return False

    def _signal(self, number: signal.Signals) -> bool:
        pid = self._pid()
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    def _pid(self) -> int | None:
        """Return the id of the server's process, None when that id belongs to another program now."""
        configured = self.folder / embedded_endpoint.CONFIGURATION
        return process.find_server_pid(self.folder / embedded_endpoint.PID, started_with=configured)

    @property
    def _log(self) -> Path:
        return self.folder / embedded_endpoint.LOG

    def _end_of_log(self, start: int) -> str:
        """Return the last lines of the server's log after the first `start` bytes."""
        if not self._log.exists():
            return "It left no log."
        lines = self._log.read_bytes()[start:].decode(errors="replace").splitlines()
        return "\n".join([f"The end of {self._log}:", *(f"  {line}" for line in lines[-6:])])


def _becomes_free(port: int) -> bool:
    """Say whether the port is free now or soon: a process that ends closes its files one after the other."""
    deadline = time.monotonic() + PORT_PATIENCE
    while not (free := _is_free(port)) and time.monotonic() < deadline:
        time.sleep(POLL)
    return free


def _is_free(port: int) -> bool:
    if not is_free(LOOPBACK, port):
        return False
    try:
        return is_free("::1", port)
    except OSError:
        return True  # without IPv6, no server listens on it


class ServerWatchdog:
    """Watches one running server: each step probes it once, and restarts it when it has ended.

    The server restarts at the same address. If its port was taken meanwhile, `read_endpoint` returns the new
    address.
    """

    def __init__(
        self,
        redis: EmbeddedRedis,
        endpoint: Endpoint,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._endpoint = endpoint
        self._retry = RetryTimer(clock=clock)
        self._was = State.READY

    def step(self) -> bool:
        """Probe the server once. Return False when it was running."""
        look = probe_server(self._endpoint)
        if look.state is not self._was and look.state is not State.AWAY:
            self._redis.say(f"The embedded Redis {look.said}.")
        self._was = look.state
        if look.state is not State.AWAY:
            return False
        if not self._retry.is_due():
            return True
        self._redis.say(f"The embedded Redis {look.said}; starting it again.")
        self._retry.record_failure()
        try:
            self._endpoint = self._redis.ensure_running()
        except EmbeddedRedisError as error:
            self._redis.say(f"{error}\nNext try in {self._retry.delay:g} s.")
        else:
            self._redis.say(f"The embedded Redis is back at {self._endpoint}.")
            self._was = State.READY
        return True
