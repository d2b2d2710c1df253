"""A failure that lasts is told once: in a row, for each subject, and where that is asked for, once in a while."""

from synapse.runtime.periodic import Periodic
from synapse.runtime.repeated_failures import RepeatedFailures


def test_a_failure_that_lasts_is_new_once_until_its_subject_works_or_fails_otherwise():
    failures = RepeatedFailures()

    said = [failures.is_new(failure) for failure in ("away", "away", "full", "away")]
    failures.end()

    assert said == [True, False, True, True]
    assert failures.is_new("away")


def test_the_failures_of_subjects_are_told_apart():
    failures = RepeatedFailures()
    failures.is_new("WRONGTYPE", "orders")

    assert failures.is_new("WRONGTYPE", "payments")
    failures.end("payments")

    assert not failures.is_new("WRONGTYPE", "orders")


def test_a_failure_that_lasts_is_new_again_after_its_silence():
    now = 0.0
    failures = RepeatedFailures(silence=60.0, clock=lambda: now)
    failures.is_new("locked")

    now = 59.0
    assert not failures.is_new("locked")
    now = 60.0
    assert failures.is_new("locked")
    now = 61.0
    assert not failures.is_new("locked")


def test_a_step_that_fails_for_one_reason_is_logged_once_in_a_row(caplog):
    outcomes = iter([OSError("away"), OSError("away"), None, OSError("away")])

    def step():
        if outcome := next(outcomes):
            raise outcome

    work = Periodic("statistics", 1.0, step)
    for _ in range(4):
        work.run_step()

    assert [record.getMessage() for record in caplog.records] == ["statistics: OSError: away"] * 2
