"""Hostile input as data: the bytes sent, and the status of the answer."""

from dataclasses import dataclass
from typing import Any

JSON = (("Content-Type", "application/json"),)
EVENT = b'{"event_type":"t"}'


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request. `target` goes to the wire as it is; `raw` is sent instead of all the rest. `status` is that of the
    front door, `alone` that of Django alone where the development server before it sees something else."""

    name: str
    status: int
    alone: int | None = None
    method: str = "POST"
    target: str = "/events/platform-events"
    headers: tuple[tuple[str, str], ...] = JSON
    body: bytes = b""
    raw: bytes | None = None

    def wire(self) -> bytes:
        """Return the request's bytes."""
        if self.raw is not None:
            return self.raw
        pairs = (("Host", "localhost"), *self.headers, ("Content-Length", str(len(self.body))), ("Connection", "close"))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {text}" for name, text in pairs)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


def raw(name: str, head: bytes, body: bytes = b"", **others: Any) -> Case:
    """Return a case whose head is written byte by byte; `Connection: close` is added."""
    return Case(name=name, raw=head + b"Connection: close\r\n\r\n" + body, **others)
