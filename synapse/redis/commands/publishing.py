"""Commands that append entries: once for repeated requests, and several together."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, NamedTuple

import hiredis

from synapse.redis import keyspace
from synapse.redis.command import Argument, Command, load_script

_ONCE = load_script("publish_once")
_TOGETHER = load_script("publish_together")
_TOGETHER_ONCE = load_script("publish_together_once")
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
    """The same of entries that are stored together. `ids` are theirs, in their order.

    Where each has a key of its own, `again` says of each whether it was stored before, and `place` which one is in
    conflict.
    """

    outcome: _Outcome
    ids: Sequence[str] = ()
    again: Sequence[bool] = ()
    place: int | None = None


class IdempotencyKey(NamedTuple):
    """The idempotency key of a request: `key` in the namespace of its caller. The `fingerprint` identifies the content,
    so that other content under the key is refused."""

    who: str
    key: str
    fingerprint: str


class Once(NamedTuple):
    """How an entry is appended once, as the script takes it.

    Attributes:
        digest: the digest of caller and key, with which the name of the Redis key ends.
        fingerprint: identifies the content, so that other content under the key is refused.
        window_ms: the time for which the key is remembered.
        hard_length: the greatest number of entries in the stream; 0 for a stream that is never full.
    """

    digest: str
    fingerprint: str
    window_ms: int
    hard_length: int


def once_under(stream: str, key: IdempotencyKey, *, window_ms: int, hard_length: int = 0) -> Once:
    """Return how an entry is appended to a stream once under a key."""
    # As in `packed_xadd`.
    return tuple.__new__(Once, (_digest(stream, key.who, key.key), key.fingerprint, window_ms, hard_length))


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
    once = Once(_digest(stream, who, key), fingerprint, window_ms, hard_length)
    return append_once(stream, fields, once)._replace(parse=_result_of_once)


def append_once(stream: str, fields: Sequence[str], once: Once) -> Command:
    """Append an entry once. The reply is its id when it was stored now, else a `StoreResult`."""
    return _ONCE.call(
        [stream, keyspace.idempotency(stream, once.digest), keyspace.stats(stream)],
        [once.window_ms, once.fingerprint, once.hard_length, *fields],
        parse=_stored_once,
    )


def append_once_packed_now(stream: str, fields: Sequence[str], once: Once) -> Command:
    """Return the command of `append_once`, packed: many words take several times the memory of their packed bytes."""
    return packed_once(stream, hiredis.pack_command(append_once(stream, fields, once).words))  # type: ignore[arg-type]


def packed_once(stream: str, packed: bytes) -> Command:
    """Return the command of `append_once` of an entry that is packed already, together with the rest of the command."""
    # As in `packed_xadd`.
    return tuple.__new__(Command, (("EVALSHA", _ONCE.digest, 3, stream), _stored_once, _ONCE, False, packed))


def _stored_once(reply: Any) -> str | StoreResult:
    if type(reply) is bytes:
        return reply.decode()
    return StoreResult(outcome=_OUTCOMES[reply[0]], id=reply[1].decode() if len(reply) > 1 else "")


def _result_of_once(reply: Any) -> StoreResult:
    found = _stored_once(reply)
    return StoreResult(outcome="stored", id=found) if isinstance(found, str) else found


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


def publish_together_once(
    stream: str,
    entries: Sequence[Sequence[str]],
    keys: Sequence[IdempotencyKey],
    *,
    window_ms: int,
    hard_length: int = 0,
) -> Command:
    """Append all entries or none, but for those that were appended before within the window, each under its own key:
    `BatchStoreResult`. `hard_length` as for `publish_together`."""
    names = [stream, keyspace.stats(stream)]
    names += [keyspace.idempotency(stream, _digest(stream, key.who, key.key)) for key in keys]
    words: list[Argument] = [hard_length, window_ms]
    for fields, key in zip(entries, keys, strict=True):
        words += (key.fingerprint, len(fields), *fields)
    return _TOGETHER_ONCE.call(names, words, parse=_together_once)


def _together_once(reply: Any) -> BatchStoreResult:
    outcome = _OUTCOMES[reply[0]]
    if outcome == "conflict":
        return BatchStoreResult(outcome=outcome, place=reply[1])
    ids = [id_.decode() for id_ in reply[1:]]
    return BatchStoreResult(
        outcome=outcome, ids=[id_.removeprefix("=") for id_ in ids], again=[id_.startswith("=") for id_ in ids]
    )


def _digest(stream: str, who: str, key: str) -> str:
    return sha256(f"{who}\n{stream}\n{key}".encode()).hexdigest()


def _together(reply: Any) -> BatchStoreResult:
    return BatchStoreResult(outcome=_OUTCOMES[reply[0]], ids=[id_.decode() for id_ in reply[1:]])


def _ids(reply: Any) -> list[str]:
    first, *rest = (reply or b"").decode().split(" ")
    # An entry stored alone stands before the fingerprint of its content, several ones behind it: it is hexadecimal.
    return [first] if "-" in first else rest
