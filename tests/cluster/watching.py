"""The keys that scripts touch, seen by MONITOR: each key must be declared, or be a queue in the same slot."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import redis as redis_py
from redis.crc import key_slot

import synapse.redis
from synapse.redis.command import load_script

# Redis' way to write a word that holds anything: "text", with \" and \\ and \xff inside.
_WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(x[0-9a-f]{2}|.)")
_SPECIAL = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"a": b"\a", b"b": b"\b"}
_LINE = re.compile(rb"[\d.]+ \[\d+ (\S+)\] (.*)", re.DOTALL)
_END = b"that is all"
# The second word of these is the key; where each has its own, the place of the key.
_CONTAINERS = (b"XGROUP", b"XINFO", b"MEMORY")
_KEYLESS = (b"TIME",)


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a script: its name, the keys that it declared, and those that it touched."""

    script: str
    declared: tuple[bytes, ...]
    touched: set[bytes] = field(default_factory=set)

    @property
    def undeclared(self) -> set[bytes]:
        """Return the keys touched and not declared, except those of which only the script knows the names.

        These are queues, and the segments of a declared index.
        """
        segments = tuple(key + b":" for key in self.declared if key.endswith(b":index"))
        return {
            key
            for key in self.touched.difference(self.declared)
            if not (_is_queue(key) or (segments and key.startswith(segments)))
        }

    @property
    def slots(self) -> set[int]:
        """The slots of all that it touched or declared."""
        return {key_slot(key) for key in self.touched.union(self.declared)}


class Watch:
    """Listens to a server from now on."""

    def __init__(self, client: redis_py.Redis) -> None:
        self._client = client
        self._connection = client.connection_pool.get_connection()
        self._connection.send_command("MONITOR")
        self._connection.read_response()

    def close(self) -> None:
        self._connection.disconnect()

    def calls(self) -> Iterator[Called]:
        """Yield the calls of our scripts since the last time."""
        self._client.echo(_END)
        called: Called | None = None
        while (line := _LINE.fullmatch(self._connection.read_response(disable_decoding=True))) is not None:
            words = [_plain(word) for word in _WORD.findall(line[2])]
            name = words[0].upper()
            if line[1] == b"lua":
                if called is not None:
                    called.touched.update(_keys_of(name, words))
                continue
            if called is not None:
                yield called
            called = None
            if name in (b"EVAL", b"EVALSHA") and (script := _scripts().get(words[1])):
                called = Called(script, tuple(words[3 : 3 + int(words[2])]))
            elif words == [b"ECHO", _END]:
                return


def script_names() -> set[str]:
    """Return the names of all scripts of the package."""
    folder = resources.files(synapse.redis).joinpath("scripts")
    return {file.name.removesuffix(".lua") for file in folder.iterdir() if file.name.endswith(".lua")}


@cache
def _scripts() -> dict[bytes, str]:
    """Every script by its digest and by its text."""
    scripts = {name: load_script(name) for name in script_names()}
    return {word.encode(): name for name, script in scripts.items() for word in (script.digest, script.text)}


def _keys_of(name: bytes, words: list[bytes]) -> list[bytes]:
    if name in _KEYLESS:
        return []
    if name == b"XREADGROUP":
        place = [word.upper() for word in words].index(b"STREAMS")
        return words[place + 1 : place + 2]
    return [words[2]] if name in _CONTAINERS else [words[1]]


def _is_queue(key: bytes) -> bool:
    return key.startswith(b"syn:{") and b"}:queue:" in key


def _plain(word: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: _unescaped(found[1]), word)


def _unescaped(code: bytes) -> bytes:
    return bytes([int(code[1:], 16)]) if code[:1] == b"x" and len(code) == 3 else _SPECIAL.get(code, code)
