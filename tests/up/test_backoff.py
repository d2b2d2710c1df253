"""When something that fails is tried again."""

from synapse.runtime.backoff import Backoff
from synapse.runtime.periodic import RetryTimer
from tests.up.programs import Clock


def test_each_failure_doubles_the_wait_up_to_a_limit() -> None:
    clock = Clock()
    timer = RetryTimer(Backoff(base=0.5, cap=10), clock=clock)

    waits = []
    for _ in range(7):
        waits.append(timer.record_failure())
        clock.pass_(timer.delay)

    assert waits == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_retry_timer_without_failures_is_due_at_once() -> None:
    assert RetryTimer(clock=Clock()).is_due()


def test_a_failure_is_due_again_when_its_wait_is_over() -> None:
    clock = Clock()
    timer = RetryTimer(Backoff(base=0.5), clock=clock)
    timer.record_failure()

    assert not timer.is_due()
    clock.pass_(0.5)
    assert timer.is_due()


def test_after_a_calm_time_the_waits_begin_anew() -> None:
    clock = Clock()
    timer = RetryTimer(Backoff(base=0.5), calm=30, clock=clock)
    for _ in range(5):
        timer.record_failure()
    clock.pass_(timer.delay + 30)

    assert timer.record_failure() == 0.5
