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
# The greatest number of words in a command that Redis accepts.
MAX_WORDS = 1024 * 1024

_Outcome = Literal["stored", "repeated", "conflict", "full"]
_OUTCOMES: dict[bytes, _Outcome] = {b"OK": "stored", b"DUP": "repeated", b"CONFLICT": "conflict", b"FULL": "full"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    """The result of storing an entry: `stored` now, `repeated` when it was stored earlier, refused because another
    event was stored under the key (`conflict`), or because the stream is `full`. `id` is the id of the entry."""

    outcome: _Outcome
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStoreResult:
    """The result of storing entries together, as in `StoreResult`.

    Attributes:
        ids: the ids of the entries, in their order.
        again: whether each entry was stored earlier; empty unless each has an own key.
        place: the index of the entry whose key has a conflict; None unless each has an own key.
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
    """The arguments of the script that appends an entry once.

    Attributes:
        digest: the digest of caller and key, at the end of the name of the Redis key.
        fingerprint: identifies the content, so that other content under the key is refused.
        window_ms: the time for which the key is remembered.
        hard_length: the greatest number of entries in the stream; 0 for a stream that is never full.
    """

    digest: str
    fingerprint: str
    window_ms: int
    hard_length: int


def once_under(stream: str, key: IdempotencyKey, *, window_ms: int, hard_length: int = 0) -> Once:
    """Return the arguments for appending an entry to a stream once under a key."""
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

    Args:
        fingerprint: identifies the content, so that other content under the key is refused.
        hard_length: the greatest number of entries in the stream; 0 for a stream that is never full.
    """
    once = Once(_digest(stream, who, key), fingerprint, window_ms, hard_length)
    return append_once(stream, fields, once)._replace(parse=_result_of_once)


def append_once(stream: str, fields: Sequence[str], once: Once) -> Command:
    """Append an entry once. The reply is the id of an entry that was stored now, else a `StoreResult`."""
    return _ONCE.call(
        [stream, keyspace.idempotency(stream, once.digest), keyspace.stats(stream)],
        [once.window_ms, once.fingerprint, once.hard_length, *fields],
        parse=_stored_once,
    )


def append_once_packed_now(stream: str, fields: Sequence[str], once: Once) -> Command:
    """Return the command of `append_once`, packed, because unpacked words take several times the memory."""
    return packed_once(stream, hiredis.pack_command(append_once(stream, fields, once).words))  # type: ignore[arg-type]


def packed_once(stream: str, packed: bytes) -> Command:
    """Return the command of `append_once`, given its packed bytes."""
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
    """Read the ids of the entries that a caller stored under a key within the window; an empty list without any."""
    return Command(("GET", keyspace.idempotency(stream, _digest(stream, who, key))), parse=_ids)


def publish_together(
    stream: str,
    entries: Sequence[Sequence[str]],
    *,
    hard_length: int = 0,
    key: IdempotencyKey | None = None,
    window_ms: int = 0,
) -> Command:
    """Append all entries or none: `BatchStoreResult`. With a `key`, they are appended unless that was done before
    within the window.

    Args:
        entries: at most MAX_WORDS words in all.
        hard_length: the greatest number of entries in the stream; 0 for a stream that is never full.
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
    """Append all entries or none, without those that were appended before under their own keys within the window:
    `BatchStoreResult`. `hard_length` is as in `publish_together`."""
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
    # The value has the id of a single entry before the fingerprint, but the ids of several entries behind it. A
    # fingerprint is hexadecimal, so it has no hyphen.
    return [first] if "-" in first else rest
