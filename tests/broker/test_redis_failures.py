"""The floor of Redis raises failures of its own; the edges answer each with one problem of the wire."""

import pytest

from synapse.http.redis_problems import problem_of
from synapse.problems import BadParameter, Problem, document
from synapse.redis import errors


@pytest.mark.parametrize(
    ("failure", "status", "slug", "retry_after"),
    [
        (errors.WrongType("orders"), 409, "not-a-stream", None),
        (errors.RedisUnreachable("It is gone."), 503, "redis-down", "1"),
        (errors.RedisRefused("Redis answered: OOM."), 503, "redis-refused", "1"),
        (errors.QueueFull("5 wait."), 503, "busy", "1"),
        (errors.ReplyLost("It is gone."), 503, "outcome-unknown", "1"),
        (errors.RedisUnavailable("It is gone."), 503, "unavailable", "1"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_of_redis_has_a_problem_with_its_words(failure, status, slug, retry_after):
    problem = problem_of(failure)

    told = document(problem)
    assert (told["status"], told["type"]) == (status, f"urn:synapse:problem:{slug}")
    assert told["detail"] == failure.detail == str(failure)
    assert problem.headers.get("Retry-After") == retry_after


def test_no_failure_of_redis_is_without_a_problem():
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.RedisFailure)]

    for kind in kinds:
        if kind is not errors.RedisFailure:  # raised as one of the others
            assert isinstance(problem_of(kind("orders")), Problem)


def test_a_problem_is_its_own():
    problem = BadParameter("“count” is a number.")

    assert problem_of(problem) is problem
