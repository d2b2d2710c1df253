"""Appending an entry once, however often it is asked for, as a command."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from streams.broker import keys
from streams.broker.command import Command
from streams.broker.script import load

_ONCE = load("publish_once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What became of it: stored now, stored before (`repeated`), refused because something else was stored under the
    key (`conflict`), or because the stream is `full`. `id` is the entry's."""

    outcome: Literal["stored", "repeated", "conflict", "full"]
    id: str = ""


def publish_once(
    stream: str,
    fields: Sequence[bytes],
    *,
    who: str,
    key: str,
    fingerprint: str,
    window_ms: int,
    hard_length: int = 0,
) -> Command:
    """Append an entry unless `who` did so under the same key within the window: `Once`.

    `fingerprint` tells what was sent apart from anything else that is sent under the key. `hard_length` 0: the stream
    is never full.
    """
    digest = hashlib.sha256(f"{who}\n{stream}\n{key}".encode()).hexdigest()
    return _ONCE.call(
        [stream, keys.idempotency(stream, digest), keys.stats(stream)],
        [window_ms, fingerprint, hard_length, *fields],
        parse=_once,
    )


def _once(reply: Any) -> Once:
    outcomes: dict[bytes, Literal["stored", "repeated", "conflict", "full"]] = {
        b"OK": "stored",
        b"DUP": "repeated",
        b"CONFLICT": "conflict",
        b"FULL": "full",
    }
    return Once(outcome=outcomes[reply[0]], id=reply[1].decode() if len(reply) > 1 else "")
