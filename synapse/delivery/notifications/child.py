"""The child process of notifications: sends messages with apprise until its input ends.

Started by `process.py` as `python -m synapse.delivery.notifications.child`. The receiver's URL is a secret: it is
passed through standard input, and never in arguments, environment variables or answers. Each line of input is a JSON
value and gets one line as its answer: first the receiver, then messages.
"""

import contextlib
import logging
import os
import re
import resource
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import quote, unquote

import orjson
import requests
from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, OverflowMode

from synapse.delivery.notifications.guard import AddressGuard
from synapse.delivery.notifications.receiver import BadReceiver, check_parameters, kind_of_receiver
from synapse.delivery.text_line import escape_unprintable
from synapse.delivery.webhooks.target import read_allowed

_PLUGINS = {
    "slack": ("slack", "NotifySlack"),
    "workflows": ("workflows", "NotifyWorkflows"),
    "pagerduty": ("pagerduty", "NotifyPagerDuty"),
    "opsgenie": ("opsgenie", "NotifyOpsgenie"),
    "discord": ("discord", "NotifyDiscord"),
    "mails": ("email", "NotifyEmail"),
}
_MOST_MEMORY = 512 * 1024 * 1024
# The bytes of a receiver's answer that are read, and the characters that are reported.
_MOST_READ, _MOST_TOLD = 64 * 1024, 1024
# Parts of a URL with at least this many characters are treated as secrets, and removed from texts.
_SECRET_LENGTH = 4
_OPSGENIE = {"us": "https://api.opsgenie.com/v2/alerts", "eu": "https://api.eu.opsgenie.com/v2/alerts"}


@dataclass(slots=True)
class Exchange:
    """The answer of a receiver to the last request: its status and beginning, or the reason (`why`) that there was
    none.
    """

    status: int | None = None
    text: str = ""
    why: str = ""
    failure: str = "other"
    retry_after: str = ""


class Receiver:
    """A receiver, by its URL.

    Raises:
        BadReceiver: when the URL is not that of a supported receiver.
    """

    def __init__(self, url: str, *, seconds: float, guard: AddressGuard) -> None:
        self._kind = kind_of_receiver(url)
        self._guard = guard
        self._secrets = _secrets_of(url)
        self._last = Exchange()
        self._plugin = _plugin_of(self._kind, url)
        self._plugin.redirects = False
        self._plugin.socket_connect_timeout = min(5.0, seconds)
        self._plugin.socket_read_timeout = seconds
        # No rate limit here: the receiver refuses too many messages itself, and the bridge retries.
        self._plugin.request_rate_per_sec = 0
        if getattr(self._plugin, "source", "") == "Apprise":
            self._plugin.source = "Synapse"
        self._plugin.overflow_mode = OverflowMode.TRUNCATE
        self._apprise = Apprise()
        self._apprise.add(self._plugin)
        self._observe_requests()
        self._observe_mail()

    def send(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a message. Return the result as JSON, without secrets."""
        self._last, self._guard.refusal = Exchange(), ""
        try:
            is_taken = self._notify(message)
        except Exception as error:
            self._last.why, self._last.failure = f"apprise failed with {type(error).__name__}", "exception"
            is_taken = False
        last, why = self._last, self._without_secrets(self._last.why)
        if self._guard.refusal:
            # A refusal names the host, which is not a secret, and nothing else of the URL.
            last.failure, why = "connection", f"Nothing was sent: {self._guard.refusal}"
        return {
            "taken": is_taken,
            "status": last.status,
            "text": self._without_secrets(last.text),
            "why": why,
            "failure": last.failure,
            "retry_after": last.retry_after,
        }

    def _notify(self, message: Mapping[str, Any]) -> bool:
        plugin = self._plugin
        if self._kind == "pagerduty":
            plugin.dedup, plugin.click = message["key"], message["link"] or None
            plugin.action = "resolve" if message["is_resolved"] else "trigger"
        elif self._kind == "opsgenie":
            if message["is_resolved"]:
                return self._close_in_opsgenie(message)
            plugin.alias, plugin.action = message["key"], "new"
        sent = self._apprise.notify(
            title=message["title"],
            body=message["body"],
            notify_type=NotifyType(message["level"]),
            body_format=NotifyFormat.TEXT,
        )
        return bool(sent)

    def _close_in_opsgenie(self, message: Mapping[str, Any]) -> bool:
        """Close an alert by its alias: apprise knows only the ids of alerts that the same process opened."""
        plugin = self._plugin
        answer = requests.post(
            f"{_OPSGENIE[plugin.region_name]}/{quote(message['key'], safe='')}/close",
            params={"identifierType": "alias"},
            json={"note": message["body"], "source": plugin.app_desc},
            headers={"Authorization": f"GenieKey {plugin.apikey}"},
            timeout=plugin.request_timeout,
            allow_redirects=False,
        )
        return answer.ok

    def _observe_requests(self) -> None:
        """Record the answers of receivers: apprise returns only whether sending succeeded."""
        send = requests.Session.send

        def observed(session: Any, request: Any, **options: Any) -> requests.Response:
            try:
                answer = send(session, request, **{**options, "stream": True, "allow_redirects": False})
                body = answer.raw.read(_MOST_READ, decode_content=True)
            except Exception as error:
                self._last = _exchange_of_error(error)
                raise
            # Only the part that was read, up to the limit, so that a huge answer fills no memory.
            answer._content, answer._content_consumed = body, True
            answer.close()
            self._last = _exchange_of(answer, body)
            return answer

        requests.Session.send = observed  # type: ignore[method-assign, assignment]

    def _observe_mail(self) -> None:
        """Record why a mail was not accepted, which apprise only logs."""
        logger = logging.getLogger("apprise")
        logger.setLevel(logging.DEBUG if self._kind == "mails" else logging.CRITICAL)
        logger.propagate = False
        receiver = self

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                text = record.getMessage()
                if text.startswith(("Socket Exception: ", "SMTP recipient")):
                    receiver._last.why = text.removeprefix("Socket Exception: ")[:_MOST_TOLD]
                    receiver._last.failure = "connection" if "Errno" in text or "timed out" in text else "refused"

        logger.handlers = [Listener()]

    def _without_secrets(self, text: str) -> str:
        """Return a text in one line, without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return escape_unprintable(" ".join(text.split()))[:_MOST_TOLD]


def _plugin_of(kind: str, url: str) -> Any:
    module, name = _PLUGINS[kind]
    plugin = getattr(import_module(f"apprise.plugins.{module}"), name)
    # As apprise does itself: otherwise a channel, `/#ops`, would be parsed as a fragment and be lost.
    found = plugin.parse_url(url.replace("/#", "/%23"))
    if not found:
        raise BadReceiver("holds a URL that apprise cannot read")
    given = {parameter for part in ("qsd", "qsd+", "qsd-", "qsd:") for parameter in found.get(part) or ()}
    check_parameters(kind, given)
    asset = AppriseAsset(app_id="Synapse", app_desc="Synapse", http_redirects=False)
    asset.image_url_mask = ""
    try:
        made = plugin(**{**found, "asset": asset})
    except TypeError:
        raise BadReceiver("holds a URL that apprise cannot read") from None
    if getattr(made, "secure_mode", "ssl") not in ("ssl", "starttls"):
        raise BadReceiver("holds a URL for mail without TLS: use mails://")
    return made


def _secrets_of(url: str) -> list[str]:
    parts = re.split(r"[/@:?&=#,;+]+", url.partition("://")[2])
    found = {text for part in parts for text in (part, unquote(part)) if len(text) >= _SECRET_LENGTH}
    return sorted(found, key=len, reverse=True)


def _exchange_of(answer: requests.Response, body: bytes) -> Exchange:
    status = answer.status_code
    return Exchange(
        status=status,
        text=body[: 4 * _MOST_TOLD].decode("utf-8", "replace"),
        failure=f"http-{status // 100}xx" if 300 <= status <= 599 else "refused",
        retry_after=answer.headers.get("Retry-After", "")[:100],
    )


def _exchange_of_error(error: Exception) -> Exchange:
    # The text of the error would contain the URL.
    if isinstance(error, requests.Timeout):
        return Exchange(why="The receiver did not answer in time", failure="timeout")
    if isinstance(error, requests.exceptions.SSLError):
        return Exchange(why="The receiver's certificate is not valid for its name", failure="connection")
    return Exchange(why="The receiver cannot be reached, or closed the connection", failure="connection")


def _set_limits() -> None:
    """Disable core dumps, which would contain the URL, and limit the memory."""
    for number, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, _MOST_MEMORY)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(number, (most, most))


def main() -> None:
    """Run the child process."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    # Libraries may print to standard output: the answers have a descriptor of their own.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _set_limits()
    order = orjson.loads(sys.stdin.buffer.readline())
    guard = AddressGuard(read_allowed(order["allow"]))
    guard.install()
    try:
        receiver = Receiver(order["url"], seconds=order["seconds"], guard=guard)
    except BadReceiver as bad:
        _write_answer(answers, {"unusable": str(bad)})
        return
    except Exception:
        # The texts of apprise's own errors may contain parts of the URL.
        _write_answer(answers, {"unusable": "holds a URL that apprise refuses"})
        return
    _write_answer(answers, {"unusable": ""})
    for line in sys.stdin.buffer:
        # Ends this process if sending hangs after its parent has died.
        signal.alarm(int(order["seconds"]) + 5)
        _write_answer(answers, receiver.send(orjson.loads(line)))
        signal.alarm(0)


def _write_answer(answers: Any, value: Mapping[str, Any]) -> None:
    answers.write(orjson.dumps(value) + b"\n")


if __name__ == "__main__":
    main()
