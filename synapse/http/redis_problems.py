"""The problems with which failures of Redis are reported to callers, on the event loop and in Django."""

from synapse.errors.streams import BrokerDown, BrokerRefused, Busy, NotAStream, OutcomeUnknown, Unavailable
from synapse.problems import Problem
from synapse.redis.errors import (
    QueueFull,
    RedisFailure,
    RedisRefused,
    RedisUnavailable,
    RedisUnreachable,
    ReplyLost,
    WrongType,
)

# The exceptions that are reported to callers: use `except FAILURES as failure` and `problem_of(failure)`.
FAILURES = (Problem, RedisFailure)

_PROBLEMS: dict[type[RedisFailure], type[Problem]] = {
    WrongType: NotAStream,
    RedisUnreachable: BrokerDown,
    RedisRefused: BrokerRefused,
    QueueFull: Busy,
    ReplyLost: OutcomeUnknown,
    RedisUnavailable: Unavailable,
}


def problem_of(failure: Problem | RedisFailure) -> Problem:
    """Return the problem that reports a failure of Redis; a problem is returned unchanged."""
    if isinstance(failure, Problem):
        return failure
    return _PROBLEMS[type(failure)](failure.detail)
