"""A Redis command as a value, scripts (several commands that run as one), and conversations: commands to send, in
steps.

Sending commands is left to the executors. A script's text is part of this package; users' data is only passed in.
Conversations that only read can be held several at once, and long work in turns: others go first every few
milliseconds. An error in place of a reply is raised here, as one of synapse.redis.errors.
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
    """Return a reply unchanged: for commands whose reply needs no parsing."""
    return reply


class Command(NamedTuple):
    """One command: its words, and how its reply (RESP2, bytes) is read.

    `script` is what an EVALSHA calls. A `barrier` waits for what was written before it on its connection; it is the
    last of the commands that it is sent with. `packed` is the command as it goes to the server, where it was made so:
    of its words, `words` has those that tell where it goes.
    """

    words: tuple[Argument, ...]
    parse: Callable[[Any], Any] = unparsed
    script: "Script | None" = None
    barrier: bool = False
    packed: bytes | None = None

    @property
    def otherwise(self) -> "Command | None":
        """The command with the text of its script, for a server that answered NOSCRIPT; None without a script."""
        script = self.script
        if script is None:
            return None
        words = ("EVAL", script.text, *self.words[2:])
        packed = self.packed
        if packed is not None:
            packed = packed.replace(_bulks("EVALSHA", script.digest), _bulks(*words[:2]), 1)
        return Command(words, self.parse, packed=packed)

    def read(self, reply: Any) -> Any:
        """Return the parsed reply; an error stays the `ReplyError` it is."""
        return reply if isinstance(reply, ReplyError) else self.parse(reply)


class Job(NamedTuple):
    """Work that takes longer than the event loop may be kept, and that waits for something else than Redis.

    Attributes:
        caller: whose share of such work it takes; None for short work, which counts for no caller.
        work: what is to be called, in any thread; what it raises is thrown into the conversation.
    """

    caller: CallerId | None
    work: Callable[[], list[Any]]


# Yields the commands of one round trip and is sent their replies; returns what was found out. No commands at all means
# "let others go first": long work on the event loop is done in parts. A job in place of commands is done elsewhere, and
# what it returns is sent; what it raises is thrown in. Written once, it runs on either executor. A reply is the
# command's parsed value or a ReplyError. When the server cannot be used, the executor throws a RedisUnavailable in at
# the yield. So each conversation may raise it, and WrongType where it reads a stream: their docstrings repeat neither.
Conversation = Generator[Sequence[Command] | Job, list[Any], T]


def missing_scripts(commands: Sequence[Command], replies: Sequence[Any]) -> list[tuple[int, Command]]:
    """Return what to send again, with its place: commands whose script the server did not know, in their order.

    A barrier behind one of them waited for nothing, and is sent again too.
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
    """Say whether the server answered that it takes no writes: after a failover the address may lead elsewhere."""
    return any(isinstance(reply, ReplyError) and reply.code in ("READONLY", "MASTERDOWN") for reply in replies)


def value(reply: Any) -> Any:
    """Return a reply, raising it when it is an error."""
    if isinstance(reply, ReplyError):
        raise reply
    return reply


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script, called by its digest; the executors send the text when the server does not know it yet."""

    text: str
    digest: str

    def call(
        self, keys: Sequence[str], arguments: Sequence[Argument], parse: Callable[[Any], Any] = unparsed
    ) -> Command:
        """Return the command that runs the script."""
        return Command(("EVALSHA", self.digest, len(keys), *keys, *arguments), parse=parse, script=self)


def _bulks(*words: Argument) -> bytes:
    """Return words as bulk strings of RESP2."""
    texts = [str(word).encode() for word in words]
    return b"".join([b"$%d\r\n%b\r\n" % (len(text), text) for text in texts])


# The files of `scripts/parts` whose text stands before that of a script: of each script that needs some.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "readers": ("fields",),
    **dict.fromkeys(("done", "fail", "reclaim", "lease", "recall", "release", "extend", "replay", "place"), ("group",)),
    **dict.fromkeys(("join", "clean", "read", "checkpoint", "move", "delete", "discard"), ("fields", "group")),
}


def load_script(name: str) -> Script:
    """Return the script of the file `scripts/<name>.lua` of this package, after the parts that it needs."""
    files = [*(f"parts/{part}.lua" for part in _PARTS.get(name, ())), f"{name}.lua"]
    folder = resources.files(__package__).joinpath("scripts")
    text = "".join(folder.joinpath(file).read_text(encoding="utf-8") for file in files)
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def ask(commands: Sequence[Command]) -> Conversation[list[Any]]:
    """Return the replies to commands that only read.

    Raises:
        RedisUnavailable: when Redis cannot be used. A lost answer is no unknown outcome here: nothing was to happen.
    """
    try:
        return (yield commands)
    except ReplyLost as failure:
        raise RedisUnreachable("Redis did not answer in time, or the connection to it was lost.") from failure


def answer(reply: Any, stream: str, *, absent: Any = None) -> Any:
    """Return a reply about a stream, and `absent` when Redis has no such key or group.

    Raises:
        WrongType: when the key holds something else.
        RedisRefused: when Redis answered with any other error.
    """
    if not isinstance(reply, ReplyError):
        return reply
    # Redis words this one "ERR no such key", and a client library may take the first word off.
    if "no such key" in str(reply) or reply.code == "NOGROUP":
        return absent
    if reply.code == "WRONGTYPE":
        raise WrongType(stream)
    raise RedisRefused(f"Redis answered: {reply}.")


def answer_or(reply: Any, stream: str, otherwise: Any) -> Any:
    """Return a reply, or `otherwise` when it is an error: a foreign key in place of ours is no failure."""
    try:
        return answer(reply, stream, absent=otherwise)
    except RedisFailure:
        return otherwise


K = TypeVar("K", bound=Hashable)


def together(
    conversations: Mapping[K, Conversation[Any]], *, failures: tuple[type[Exception], ...] = (RedisFailure,)
) -> Conversation[dict[K, Any]]:
    """Hold the conversations at once: each round trip is one pipeline with what all of them ask then.

    Return what each found out, or the one of `failures` that ended it.
    """
    found: dict[K, Any] = {}
    asking: dict[K, Sequence[Command]] = {}

    def go_on(key: K, told: list[Any] | Exception | None) -> None:
        asking.pop(key, None)
        conversation: Any = conversations[key]
        try:
            asking[key] = conversation.throw(told) if isinstance(told, Exception) else conversation.send(told)
        except StopIteration as end:
            found[key] = end.value
        except failures as failure:
            found[key] = failure

    for key in conversations:
        go_on(key, None)
    while asking:
        asked = dict(asking)
        try:
            replies = yield [command for commands in asked.values() for command in commands]
        except RedisFailure as failure:
            for key in asked:
                go_on(key, failure)
            continue
        for key, commands in asked.items():
            go_on(key, replies[: len(commands)])
            replies = replies[len(commands) :]
    return {key: found[key] for key in conversations}


# Work for this many items is not begun before it is its turn: many such may come in the same moment.
MANY = 200

R = TypeVar("R")


def map_cooperatively(items: Sequence[T], work: Callable[[T], R], *, at_once: int = 1) -> Conversation[list[R]]:
    """Map `work` over the items, and yield to the event loop every few milliseconds, for a batch may be large.

    The clock is read after every `at_once` items: for light work, reading it is a large part of the time.
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
