"""The parent's end of notifications: starts the child, sends it messages, and kills it when it takes too long."""

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, cast

import orjson

from synapse.delivery.notifications.messages import Message
from synapse.delivery.webhooks.target import Allowed
from synapse.errors.delivery import FailureClass, SinkAway

# How long the child may take to import apprise, in seconds.
START_PATIENCE = 60.0
_END_PATIENCE = 1.0
# The longest answer of the child, in bytes.
MOST_ANSWER = 64 * 1024
# The environment variables that the child gets: those that locate programs and certificates, no secrets or proxies.
_KEPT = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "TMPDIR", "TZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of sending a message.

    Attributes:
        is_taken: whether the receiver accepted the notification.
        ms: how long that took, in milliseconds.
        status: the HTTP status of the receiver's answer, None without an answer over HTTP.
        why: the reason that the receiver did not accept it, "" when the status is the only reason.
        text: the beginning of the receiver's answer.
        failure: the kind of failure.
        retry_after: the header Retry-After, "" without one.
    """

    is_taken: bool
    ms: int
    status: int | None = None
    why: str = ""
    text: str = ""
    failure: FailureClass = "other"
    retry_after: str = ""


def is_installed() -> bool:
    """Say whether apprise is installed, without importing it."""
    return importlib.util.find_spec("apprise") is not None


class NotificationProcess:
    """A child process that sends messages to one receiver.

    Args:
        url: the receiver's URL, a secret.
        allowed: the addresses that it may have, besides those of the public internet.
        seconds: how long one message may take.

    Raises:
        SinkAway: when the child cannot be started, or the URL is not that of a receiver.
    """

    def __init__(self, url: str, *, allowed: Allowed, seconds: float) -> None:
        self.url = url
        self._seconds = seconds
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        # Python's own TLS uses SSL_CERT_FILE; requests, with which apprise sends, uses the other.
        if "SSL_CERT_FILE" in environment:
            environment["REQUESTS_CA_BUNDLE"] = environment["SSL_CERT_FILE"]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own command line
                [sys.executable, "-m", f"{__package__}.child"],
                # The child can import every module that this process can.
                env={**environment, "PYTHONPATH": os.pathsep.join(sys.path), "NO_PROXY": "*", "NETRC": os.devnull},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl-C goes to the parent alone.
                start_new_session=True,
            )
        except OSError as error:
            # For example too many processes, or too little memory: not a fault of the event.
            raise SinkAway(f"The process that sends notifications cannot be started: {error.strerror}") from error
        order = {
            "url": url,
            "allow": [*sorted(allowed.hosts), *map(str, allowed.networks)],
            "seconds": seconds,
        }
        try:
            found = self._exchange(order, START_PATIENCE)
            if found is None:
                raise SinkAway("The process that sends notifications ended, or was not ready in time")
            if found["unusable"]:
                raise SinkAway(f"The secret {found['unusable']}")
        except SinkAway:
            self.close()
            raise

    @property
    def is_running(self) -> bool:
        """Say whether the child can take another message."""
        return self._process.poll() is None

    def send(self, message: Message, *, within: float) -> Answer:
        """Send a message, and return the result. A child that takes longer than `within` seconds is killed."""
        began = time.monotonic()
        found = self._exchange(asdict(message), min(within, self._seconds))
        ms = int((time.monotonic() - began) * 1000)
        if found is None:
            is_late = ms >= min(within, self._seconds) * 1000
            why = f"The receiver took longer than {self._seconds:g} s" if is_late else "The process that sends ended"
            return Answer(is_taken=False, ms=ms, why=why, failure="timeout" if is_late else "other")
        return Answer(
            is_taken=found["taken"],
            ms=ms,
            status=found["status"],
            why=found["why"],
            text=found["text"],
            failure=cast(FailureClass, found["failure"]),
            retry_after=found["retry_after"],
        )

    def close(self) -> None:
        """End the child."""
        process = self._process
        with contextlib.suppress(OSError):
            cast(Any, process.stdin).close()
        try:
            process.wait(_END_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        cast(Any, process.stdout).close()

    def _exchange(self, value: Any, seconds: float) -> dict[str, Any] | None:
        """Write a line, and return the child's answer. None: the child ended, or was killed."""
        process, deadline = self._process, time.monotonic() + seconds
        source = cast(Any, process.stdout).fileno()
        poll = select.poll()
        poll.register(source, select.POLLIN)
        read = b""
        try:
            cast(Any, process.stdin).write(orjson.dumps(value) + b"\n")
            cast(Any, process.stdin).flush()
            while not read.endswith(b"\n") and len(read) < MOST_ANSWER:
                left = deadline - time.monotonic()
                if left <= 0 or not poll.poll(left * 1000) or not (part := os.read(source, MOST_ANSWER)):
                    break
                read += part
            if read.endswith(b"\n"):
                return cast(dict[str, Any], orjson.loads(read))
        except (OSError, ValueError):
            pass
        process.kill()
        process.wait()
        return None
