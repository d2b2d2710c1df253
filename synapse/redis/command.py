"""Redis commands as values, scripts (several commands that run as one), and conversations: generators that yield
commands in steps.

The executors send the commands. The text of a script is part of this package; users' data is passed only as arguments.
Conversations that only read can run together in one pipeline, and long work yields to others every few milliseconds.
This module raises an error in place of a reply as one of `synapse.redis.errors`.
"""

import hashlib
import time
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple, TypeVar

from synapse.redis.errors import RedisFailure, RedisRefused, RedisUnreachable, ReplyError, ReplyLost, WrongType
from synapse.runtime.turn_queue import TURN
from synapse.shares.counter import CallerId

Argument = bytes | str | int | float
T = TypeVar("T")


def unparsed(reply: Any) -> Any:
    """Return a reply unchanged, for commands whose reply needs no parsing."""
    return reply


class Command(NamedTuple):
    """One command: its words, and the function that parses its reply (RESP2, bytes).

    `script` is the script that an EVALSHA calls. A `barrier` waits for the earlier writes on its connection, and is the
    last of the commands that it is sent with. `packed` has the bytes to send, when the command was packed in advance;
    `words` then has only the words that decide where to send it.
    """

    words: tuple[Argument, ...]
    parse: Callable[[Any], Any] = unparsed
    script: "Script | None" = None
    barrier: bool = False
    packed: bytes | None = None

    @property
    def otherwise(self) -> "Command | None":
        """The command with the text of its script, to repeat it after NOSCRIPT; None without a script."""
        script = self.script
        if script is None:
            return None
        words = ("EVAL", script.text, *self.words[2:])
        packed = self.packed
        if packed is not None:
            packed = packed.replace(_encode_bulks("EVALSHA", script.digest), _encode_bulks(*words[:2]), 1)
        return Command(words, self.parse, packed=packed)

    def parse_reply(self, reply: Any) -> Any:
        """Parse the reply. A `ReplyError` is returned unchanged."""
        return reply if isinstance(reply, ReplyError) else self.parse(reply)


class Job(NamedTuple):
    """Work that would hold the event loop up for too long, and that waits for something other than Redis.

    Attributes:
        caller: the caller whose share of such work it takes; None for short work, which is not counted.
        work: the function to call, in any thread. Its exceptions are thrown into the conversation.
    """

    caller: CallerId | None
    work: Callable[[], list[Any]]


# A conversation yields the commands of one round trip, is sent their replies, and returns its result. An empty list
# yields to other work on the event loop. A job in place of commands runs elsewhere; its result is sent, and its
# exception thrown in. A conversation runs on either executor. A reply is the parsed value or a ReplyError. When Redis
# cannot be used, the executor throws a RedisUnavailable at the yield. So each conversation may raise it, and WrongType
# when it reads a stream: their docstrings do not repeat this.
Conversation = Generator[Sequence[Command] | Job, list[Any], T]


def missing_scripts(commands: Sequence[Command], replies: Sequence[Any]) -> list[tuple[int, Command]]:
    """Return the commands whose script the server did not know, with the script's text, and their indexes in the call.

    A barrier behind one of them waited for nothing, and is repeated, too.
    """
    again = [
        (place, otherwise)
        for place, (command, reply) in enumerate(zip(commands, replies, strict=True))
        if isinstance(reply, ReplyError) and reply.code == "NOSCRIPT" and (otherwise := command.otherwise) is not None
    ]
    if again and commands[-1].barrier:
        again.append((len(commands) - 1, commands[-1]))
    return again


def is_no_primary(replies: Sequence[Any]) -> bool:
    """Say whether the server replied that it accepts no writes: after a failover, the address may lead elsewhere."""
    return any(isinstance(reply, ReplyError) and reply.code in ("READONLY", "MASTERDOWN") for reply in replies)


def value(reply: Any) -> Any:
    """Return a reply, or raise it when it is an error."""
    if isinstance(reply, ReplyError):
        raise reply
    return reply


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, called by its digest. The executors send its text when the server does not know it yet."""

    text: str
    digest: str

    def call(
        self, keys: Sequence[str], arguments: Sequence[Argument], parse: Callable[[Any], Any] = unparsed
    ) -> Command:
        """Return the command that runs the script."""
        return Command(("EVALSHA", self.digest, len(keys), *keys, *arguments), parse=parse, script=self)


def _encode_bulks(*words: Argument) -> bytes:
    """Encode words as bulk strings of RESP2."""
    texts = [str(word).encode() for word in words]
    return b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])


# The files in `scripts/parts` that precede the text of a script, by script.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "readers": ("fields",),
    **dict.fromkeys(("done", "fail", "reclaim", "lease", "recall", "release", "extend", "replay", "place"), ("group",)),
    **dict.fromkeys(("join", "clean", "read", "checkpoint", "move", "delete", "discard"), ("fields", "group")),
}


def load_script(name: str) -> Script:
    """Return the script in the file `scripts/<name>.lua` of this package, preceded by the parts that it needs."""
    files = [*(f"parts/{part}.lua" for part in _PARTS.get(name, ())), f"{name}.lua"]
    folder = resources.files(__package__).joinpath("scripts")
    text = "".join(folder.joinpath(file).read_text(encoding="utf-8") for file in files)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def ask(commands: Sequence[Command]) -> Conversation[list[Any]]:
    """Return the replies to commands that only read.

    Raises:
        RedisUnavailable: when Redis cannot be used. A lost reply does no harm, because the commands change nothing.
    """
    try:
        return (yield commands)
    except ReplyLost as failure:
        raise RedisUnreachable("Redis did not answer in time, or the connection to it was lost.") from failure


def answer(reply: Any, stream: str, *, absent: Any = None) -> Any:
    """Return a reply about a stream, or `absent` when Redis has no such key or group.

    Raises:
        WrongType: when the key does not hold a stream.
        RedisRefused: when Redis answered with any other error.
    """
    if not isinstance(reply, ReplyError):
        return reply
    # Redis sends "ERR no such key", and client libraries may remove the first word.
    if "no such key" in str(reply) or reply.code == "NOGROUP":
        return absent
    if reply.code == "WRONGTYPE":
        raise WrongType(stream)
    raise RedisRefused(f"Redis answered: {reply}.")


def answer_or(reply: Any, stream: str, otherwise: Any) -> Any:
    """Return a reply, or `otherwise` when it is an error: a key of another type under Synapse's name is not a
    failure.
    """
    try:
        return answer(reply, stream, absent=otherwise)
    except RedisFailure:
        return otherwise


K = TypeVar("K", bound=Hashable)


def together(
    conversations: Mapping[K, Conversation[Any]], *, failures: tuple[type[Exception], ...] = (RedisFailure,)
) -> Conversation[dict[K, Any]]:
    """Run conversations together: each round trip is one pipeline with the commands of all of them.

    Return the result of each, or the exception among `failures` that ended it.
    """
    found: dict[K, Any] = {}
    asking: dict[K, Sequence[Command]] = {}

    def advance(key: K, told: list[Any] | Exception | None) -> None:
        asking.pop(key, None)
        conversation: Any = conversations[key]
        try:
            asking[key] = conversation.throw(told) if isinstance(told, Exception) else conversation.send(told)
        except StopIteration as end:
            found[key] = end.value
        except failures as failure:
            found[key] = failure

    for key in conversations:
        advance(key, None)
    while asking:
        asked = dict(asking)
        try:
            replies = yield [command for commands in asked.values() for command in commands]
        except RedisFailure as failure:
            for key in asked:
                advance(key, failure)
            continue
        for key, commands in asked.items():
            advance(key, replies[: len(commands)])
            replies = replies[len(commands) :]
    return {key: found[key] for key in conversations}


# Work for this many items waits for a turn before it begins: many such requests may arrive at once.
MANY = 200

R = TypeVar("R")


def map_cooperatively(items: Sequence[T], work: Callable[[T], R], *, at_once: int = 1) -> Conversation[list[R]]:
    """Map `work` over the items, and yield to the event loop every few milliseconds, because a batch may be large.

    The clock is read after every `at_once` items, because for light work reading the clock would take much of the time.
    """
    if len(items) > MANY:
        yield ()
    done: list[R] = []
    until = time.monotonic() + TURN
    for start in range(0, len(items), at_once):
        done += [work(item) for item in items[start : start + at_once]]
        if time.monotonic() > until:
            yield ()
            until = time.monotonic() + TURN
    return done
