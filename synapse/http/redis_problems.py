"""The problems that callers are told of when Redis fails them. Every edge, on both ways in, takes them from here."""

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

# The exceptions that an edge answers: `except FAILURES as failure` and `problem_of(failure)`.
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
    """Return the problem that a failure of Redis is answered with; a problem is its own."""
    if isinstance(failure, Problem):
        return failure
    return _PROBLEMS[type(failure)](failure.detail)
