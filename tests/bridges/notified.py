"""Receivers of notifications on loopback: real TLS servers that stand for chats, pagers and mail servers."""

import re
import socket
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bridges.receiver import Receiver
from tests.certificates import Authority

# The parts of a receiver's URL that must turn up nowhere.
TOKENS = ("wf0123456789abcdef", "sigSECRETsigSECRET")
SUMMARY = "bridge orders-to-shop fails: 126 dead letters since 02:14, HTTP 503"
ALERT: Mapping[str, Any] = {
    "event_type": "alert-notification",
    "dedupe_key": "bridge-dead-letters 17-0",
    "rule": "bridge-dead-letters",
    "alert": "bridge-dead-letters group:orders/shop",
    "sentence": SUMMARY,
    "severity": "critical",
    "state": "firing",
    "since": "2026-11-30T02:14:00Z",
    "value": 126,
    "unit": "dead letter",
    "description": "There are dead letters.",
    "owner": "Team Shop",
    "runbook": "https://wiki.example.com/shop",
    "labels": {"team": "shop"},
    "link": "https://synapse.example.com/admin/bridges/bridge/1/statistics/",
}
RESOLVED = {**ALERT, "state": "resolved", "sentence": f"resolved: {SUMMARY}", "dedupe_key": "bridge-dead-letters 18-0"}


def alerts_of(event: Mapping[str, Any], count: int = 1) -> dict[str, Any]:
    """Return a notification with so many alerts, as the stream of alerts has it."""
    names = ("alert", "state", "since", "value", "unit", "sentence", "owner", "runbook", "labels", "link")
    alerts = [{**{name: event[name] for name in names}, "subject": f"bridge {n}"} for n in range(count)]
    for number, alert in enumerate(alerts[1:], 1):
        alert["alert"] += f"-{number}"
    return {**event, "alerts": alerts, "more": 0}


def texts_of(chat: Receiver) -> list[tuple[str, ...]]:
    """Return the title and the body of each message that a workflow of Microsoft's got."""
    cards = [one.json["attachments"][0]["content"]["body"] for one in chat.got]
    texts = ([part["text"] for part in card if part["type"] == "TextBlock"] for card in cards)
    # Markdown's marks are escaped.
    return [tuple(re.sub(r"\\(.)", r"\1", text) for text in each) for each in texts]


class Receivers:
    """Makes TLS servers on loopback, whose names the child of notifications finds there."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self._names: dict[str, int] = {}
        self._folder = folder
        self._open: list[Any] = []

    def context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.issue(host))
        return context

    def http(self, host: str = "127.0.0.1") -> Receiver:
        """Return a server that has a host's certificate, and that the child finds under its name."""
        receiver = Receiver(tls=self.context(host))
        self._open.append(receiver)
        self.lead(host, receiver.port)
        return receiver

    def mail(self, host: str) -> "MailServer":
        """Return a mail server."""
        server = MailServer(self.context(host))
        self._open.append(server)
        self.lead(host, server.port)
        return server

    def lead(self, host: str, port: int) -> None:
        """Let the child find a host at a port of this machine."""
        self._names[host] = port
        # Python runs a module of this name when it starts.
        (self._folder / "sitecustomize.py").write_text(
            f"import socket\nPORTS, lookup = {self._names!r}, socket.getaddrinfo\n"
            "def found(host, port, *others, **options):\n"
            "    at = ('127.0.0.1', PORTS[host]) if host in PORTS else (host, port)\n"
            "    return lookup(*at, *others, **options)\n"
            "socket.getaddrinfo = found\n"
        )

    def close(self) -> None:
        for each in self._open:
            each.close()


class MailServer:
    """Takes mails over TLS (RFC 8314, 3). `mails` are those that came; with `refusal`, none is taken."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.mails: list[str] = []
        self.logins: list[str] = []
        self.refusal = ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = context
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._serve(secured.makefile("rwb", buffering=0))
            except OSError:
                continue

    def _serve(self, file: Any) -> None:
        file.write(b"220 mail.example.com\r\n")
        while line := file.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                file.write(b"250-mail.example.com\r\n250 AUTH PLAIN\r\n")
            elif word == b"AUTH":
                self.logins.append(line.decode())
                file.write(b"235 ok\r\n")
            elif word == b"RCPT" and self.refusal:
                file.write(f"{self.refusal}\r\n".encode())
            elif word == b"DATA":
                file.write(b"354 go on\r\n")
                lines = []
                while (part := file.readline()) not in (b".\r\n", b""):
                    lines.append(part.decode())
                self.mails.append("".join(lines))
                file.write(b"250 taken\r\n")
            elif word == b"QUIT":
                file.write(b"221 bye\r\n")
                return
            else:
                file.write(b"250 ok\r\n")
