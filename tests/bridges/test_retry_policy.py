"""Whether to try again, and when: a decision without a clock."""

import pytest

from synapse.delivery.retry import GiveUp, Policy, Retry, decide_retry
from synapse.errors.delivery import SinkError
from synapse.runtime.backoff import Backoff
from tests.tables import for_each

DOUBLING = Policy(most_attempts=5, backoff=Backoff(base=2, cap=10))
WRITTEN = Policy(most_attempts=0, schedule=(0, 5, 300))


@for_each(
    "policy, attempt, error, soonest, latest",
    [
        # Waits double, up to the cap, and are spread over half to all of each.
        (DOUBLING, 1, {}, 1, 2),
        (DOUBLING, 2, {}, 2, 4),
        (DOUBLING, 3, {}, 4, 8),
        (DOUBLING, 4, {}, 5, 10),
        # The receiver may ask for a later time, not for an earlier one, and not for next year.
        (DOUBLING, 1, {"retry_after": 60.0}, 60, 60),
        (DOUBLING, 4, {"retry_after": 0.5}, 5, 10),
        (DOUBLING, 1, {"retry_after": -5.0}, 1, 2),
        (DOUBLING, 1, {"retry_after": 1e300}, 86_400, 86_400),
        # A written schedule is kept, give or take a tenth that spreads them; its last wait repeats.
        (WRITTEN, 1, {}, 0, 0),
        (WRITTEN, 2, {}, 5, 5.5),
        (WRITTEN, 3, {}, 300, 330),
        (WRITTEN, 4000, {}, 300, 330),
    ],
)
def test_a_failed_event_is_retried_after_the_wait_of_its_policy(policy, attempt, error, soonest, latest):
    decisions = [
        decide_retry(policy, attempt=attempt, error=SinkError("no", **error), chance=chance) for chance in (0, 1)
    ]

    assert decisions == [Retry(after=pytest.approx(soonest)), Retry(after=pytest.approx(latest))]


@for_each(
    "policy, attempt, error",
    [
        (DOUBLING, 5, {}),
        (DOUBLING, 6, {}),
        (DOUBLING, 5, {"retry_after": 60.0}),
        (DOUBLING, 1, {"permanent": True}),
        (WRITTEN, 1, {"permanent": True}),
    ],
)
def test_an_event_is_given_up_after_its_last_attempt_or_a_permanent_error(policy, attempt, error):
    assert decide_retry(policy, attempt=attempt, error=SinkError("no", **error), chance=0) == GiveUp()


def test_an_event_without_a_limit_of_attempts_is_never_given_up_for_their_number():
    policy = Policy(most_attempts=0, backoff=Backoff(base=1, cap=60))

    assert decide_retry(policy, attempt=10**9, error=SinkError("no"), chance=1) == Retry(after=60)
