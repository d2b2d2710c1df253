"""The failures of Redis. Their HTTP responses are in `synapse.http.redis_problems`.

RedisFailure
├── WrongType              the key holds something else than a stream
└── RedisUnavailable       Redis cannot be used now
    ├── RedisUnreachable   it cannot be reached, or loads its data: nothing was done
    ├── RedisRefused       it answered with an error: nothing was done
    ├── QueueFull          too many commands wait for it already: nothing was sent
    └── ReplyLost          the command was sent and its reply never came: it may have been carried out

ReplyError                 the error that Redis answered one command with, in place of its reply
"""


class RedisFailure(Exception):
    """A command of Redis failed. `detail` is one sentence for a person."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class WrongType(RedisFailure):
    """The key of a stream holds another type (WRONGTYPE), stored by another program."""

    def __init__(self, key: str, code: str = "") -> None:
        held = f"does not hold a stream ({code})" if code else "does not hold a stream"
        super().__init__(f"The Redis key “{key}” {held}. Rename or delete it there; nothing here will do that.")


class RedisUnavailable(RedisFailure):
    """Redis cannot be used now. The call can be repeated later."""


class RedisUnreachable(RedisUnavailable):
    """Redis cannot be reached, or still loads its data: nothing was done."""


class RedisRefused(RedisUnavailable):
    """Redis answered with an error, such as NOPERM, OOM or READONLY: nothing was done."""


class QueueFull(RedisUnavailable):
    """Too many commands are waiting for Redis already: nothing was sent."""


class ReplyLost(RedisUnavailable):
    """The connection was lost, or the reply took too long, after sending: the command may have been carried out."""


class ReplyError(Exception):
    """Redis answered one command with an error. `code` is its first word, such as WRONGTYPE, OOM or NOSCRIPT.

    A full stop at the end of Redis' text is removed, so that the text can be part of a sentence.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rstrip("."))

    @property
    def code(self) -> str:
        return str(self).partition(" ")[0]
