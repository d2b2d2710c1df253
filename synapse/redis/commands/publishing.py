"""Commands that append entries: once for repeated requests, and several together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_ONCE = load_script("publish_once")
_TOGETHER = load_script("publish_together")
# Redis takes no command of more words than this.
MAX_WORDS = 1024 * 1024

_Outcome = Literal["stored", "repeated", "conflict", "full"]
_OUTCOMES: dict[bytes, _Outcome] = {b"OK": "stored", b"DUP": "repeated", b"CONFLICT": "conflict", b"FULL": "full"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    """The result: stored now, stored before (`repeated`), refused because something else was stored under the key
    (`conflict`), or because the stream is `full`. `id` is the entry's."""

    outcome: _Outcome
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStoreResult:
    """The same of entries that are stored together. `ids` are theirs, in their order."""

    outcome: _Outcome
    ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """The idempotency key of a request: `key` in the namespace of its caller. The `fingerprint` identifies the content,
    so that other content under the key is refused."""

    who: str
    key: str
    fingerprint: str


def publish_once(
    stream: str,
    fields: Sequence[str],
    *,
    who: str,
    key: str,
    fingerprint: str,
    window_ms: int,
    hard_length: int = 0,
) -> Command:
    """Append an entry unless its caller stored one under the same key within the window: `StoreResult`.

    `fingerprint` identifies the content, so that other content under the key is refused. `hard_length` 0: the stream is
    never full.
    """
    return _ONCE.call(
        [stream, keyspace.idempotency(stream, _digest(stream, who, key)), keyspace.stats(stream)],
        [window_ms, fingerprint, hard_length, *fields],
        parse=lambda reply: StoreResult(outcome=_OUTCOMES[reply[0]], id=reply[1].decode() if len(reply) > 1 else ""),
    )


def stored_under(stream: str, *, who: str, key: str) -> Command:
    """Read the ids of the entries that a caller stored under a key within the window; none when there are none."""
    return Command(("GET", keyspace.idempotency(stream, _digest(stream, who, key))), parse=_ids)


def publish_together(
    stream: str,
    entries: Sequence[Sequence[str]],
    *,
    hard_length: int = 0,
    key: IdempotencyKey | None = None,
    window_ms: int = 0,
) -> Command:
    """Append all entries or none, with a key unless it was done before within the window: `BatchStoreResult`.

    `hard_length` 0: the stream is never full. More than MAX_WORDS words are more than Redis takes.
    """
    names = [stream]
    if key is not None:
        names += [keyspace.idempotency(stream, _digest(stream, key.who, key.key)), keyspace.stats(stream)]
    words: list[Argument] = [hard_length, window_ms, "" if key is None else key.fingerprint]
    for fields in entries:
        words.append(len(fields))
        words.extend(fields)
    return _TOGETHER.call(names, words, parse=_together)


def _digest(stream: str, who: str, key: str) -> str:
    return hashlib.sha256(f"{who}\n{stream}\n{key}".encode()).hexdigest()


def _together(reply: Any) -> BatchStoreResult:
    return BatchStoreResult(outcome=_OUTCOMES[reply[0]], ids=[id_.decode() for id_ in reply[1:]])


def _ids(reply: Any) -> list[str]:
    first, *rest = (reply or b"").decode().split(" ")
    # An entry stored alone stands before the fingerprint of its content, several ones behind it: it is hexadecimal.
    return [first] if "-" in first else rest
