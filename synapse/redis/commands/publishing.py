"""Commands that append entries: once for repeated requests, and several together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

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


def packed_once(append: Command, key: IdempotencyKey, *, window_ms: int, hard_length: int = 0) -> Command:
    """Return the command of `publish_once`, packed, for the entry of a packed XADD.

    Its reply is the entry's id when the entry was stored now, else a `StoreResult`.
    """
    stream = str(append.words[1])
    pieces = _pieces_of(stream, window_ms, hard_length)
    packed = append.packed or b""
    begun = packed.index(b"\r\n")
    # In place of XADD, the stream and * there are nine words.
    number = b"*%d\r\n" % (int(packed[1:begun]) + 6)
    words = b"".join(
        (
            pieces.to_key,
            _digest(stream, key.who, key.key).encode(),
            pieces.to_fingerprint,
            b"$%d\r\n" % len(key.fingerprint),
            key.fingerprint.encode(),
            pieces.to_fields,
            packed[begun + pieces.skipped :],
        )
    )
    by_text = (("EVAL", _ONCE.text, 3, stream), _stored_once, None, False, number + _BY_TEXT + words)
    called = ("EVALSHA", _ONCE.digest, 3, stream)
    return tuple.__new__(
        Command, (called, _stored_once, tuple.__new__(Command, by_text), False, number + _BY_DIGEST + words)
    )


class _Pieces(NamedTuple):
    """The words that `packed_once` writes alike for all entries of a stream: up to the digest in the key, from there to
    the fingerprint, and from there to the fields. `skipped` is the length of the words before the fields of an XADD."""

    to_key: bytes
    to_fingerprint: bytes
    to_fields: bytes
    skipped: int


def _bulk(word: str | int) -> bytes:
    """Return a word as a bulk string of RESP2."""
    text = str(word).encode()
    return b"$%d\r\n%b\r\n" % (len(text), text)


_BY_DIGEST, _BY_TEXT = _bulk("EVALSHA") + _bulk(_ONCE.digest), _bulk("EVAL") + _bulk(_ONCE.text)
_DIGEST = "0" * 64


@lru_cache(maxsize=256)
def _pieces_of(stream: str, window_ms: int, hard_length: int) -> _Pieces:
    to_key, _, after_key = _bulk(keyspace.idempotency(stream, _DIGEST)).rpartition(_DIGEST.encode())
    return _Pieces(
        to_key=_bulk(3) + _bulk(stream) + to_key,
        to_fingerprint=after_key + _bulk(keyspace.stats(stream)) + _bulk(window_ms),
        to_fields=b"\r\n" + _bulk(hard_length),
        skipped=len(b"\r\n" + _bulk("XADD") + _bulk(stream) + _bulk("*")),
    )


def _stored_once(reply: list[bytes]) -> str | StoreResult:
    if reply[0] == b"OK":
        return reply[1].decode()
    return StoreResult(outcome=_OUTCOMES[reply[0]], id=reply[1].decode() if len(reply) > 1 else "")


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
    return hashlib.sha256(f"{who}\n{stream}\n{key}".encode()).hexdigest()


def _together(reply: Any) -> BatchStoreResult:
    return BatchStoreResult(outcome=_OUTCOMES[reply[0]], ids=[id_.decode() for id_ in reply[1:]])


def _ids(reply: Any) -> list[str]:
    first, *rest = (reply or b"").decode().split(" ")
    # An entry stored alone stands before the fingerprint of its content, several ones behind it: it is hexadecimal.
    return [first] if "-" in first else rest
