"""When something that fails is tried again."""

from synapse.runtime.periodic import Backoff
from tests.up.programs import Clock


def test_each_failure_doubles_the_wait_up_to_a_limit() -> None:
    clock = Clock()
    backoff = Backoff(first=0.5, longest=10, clock=clock)

    waits = []
    for _ in range(7):
        waits.append(backoff.failed())
        clock.pass_(backoff.delay)

    assert waits == [0.5, 1, 2, 4, 8, 10, 10]


def test_what_never_failed_is_due_at_once() -> None:
    assert Backoff(clock=Clock()).is_due()


def test_a_failure_is_due_again_when_its_wait_is_over() -> None:
    clock = Clock()
    backoff = Backoff(first=0.5, clock=clock)
    backoff.failed()

    assert not backoff.is_due()
    clock.pass_(0.5)
    assert backoff.is_due()


def test_after_a_calm_time_the_waits_begin_anew() -> None:
    clock = Clock()
    backoff = Backoff(first=0.5, calm=30, clock=clock)
    for _ in range(5):
        backoff.failed()
    clock.pass_(backoff.delay + 30)

    assert backoff.failed() == 0.5
