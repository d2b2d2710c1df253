"""The outcomes of a run's rows: measured, not measured here, failed, or too late."""

from subprocess import CalledProcessError, TimeoutExpired
from types import SimpleNamespace

import pytest

from benchmarks import __main__ as bench
from benchmarks.measures.rate import Failed
from benchmarks.rows import ROWS
from benchmarks.running.program import DidNotStart
from benchmarks.values import FULL, QUICK, Measured, NotMeasured, Samples
from tests.benchmarks.rows import row


class Clock:
    """Stands still, unless a row takes its time."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(bench, "time", clock)
    return clock


def measured(*rows):
    return bench.measure_all(SimpleNamespace(plan=QUICK), rows)


def finding(value):
    return lambda _: Measured(ours=Samples([value]), unit="ms")


def raising(fault):
    def measure(stage):
        raise fault

    return measure


def test_rows_are_measured_in_their_order():
    outcomes, faults = measured(row("one", measure=finding(1)), row("two", measure=finding(2)))

    assert [(found.row.name, found.measured.ours.median) for found in outcomes] == [("one", 1), ("two", 2)]
    assert faults == 0


def test_a_row_that_cannot_be_measured_here_is_no_fault():
    missing = NotMeasured("webdis is not installed")

    outcomes, faults = measured(row("one", measure=raising(missing)), row("two", measure=finding(2)))

    assert [found.why_not for found in outcomes] == ["webdis is not installed", ""]
    assert outcomes[0].measured is None
    assert faults == 0


@pytest.mark.parametrize(
    ("fault", "why_not"),
    [
        (Failed("3 of 4 requests\nfailed"), "FAILED: 3 of 4 requests failed"),
        (DidNotStart("no answer"), "FAILED: no answer"),
        (ConnectionRefusedError("nobody there"), "FAILED: nobody there"),
        (CalledProcessError(1, ["/usr/bin/wrk", "-t1"], stderr="no\n such host"), "FAILED: wrk failed: no such host"),
        (CalledProcessError(1, ["wrk"], stderr=b"no\xff host"), "FAILED: wrk failed: no\ufffd host"),
        (TimeoutExpired(["wrk"], 3), "FAILED: wrk failed: "),
    ],
)
def test_a_row_that_fails_is_a_fault_and_the_next_one_is_measured(fault, why_not):
    outcomes, faults = measured(row("one", measure=raising(fault)), row("two", measure=finding(2)))

    assert outcomes[0].why_not == why_not
    assert outcomes[1].measured.ours.median == 2
    assert faults == 1


def test_the_command_line_of_a_program_that_failed_is_not_shown(capsys):
    fault = CalledProcessError(1, ["redis-benchmark", "-a", "the-password"], stderr="refused")

    outcomes, _ = measured(row("one", measure=raising(fault)))

    assert "the-password" not in outcomes[0].why_not + capsys.readouterr().err


def test_a_long_fault_is_cut():
    (found,), _ = measured(row("one", measure=raising(Failed("x" * 5000))))

    assert len(found.why_not) < 400


def test_no_row_is_begun_after_the_limit(clock):
    def slow(stage):
        clock.now += QUICK.limit + 1
        return finding(1)(stage)

    outcomes, faults = measured(row("slow", measure=slow), row("late", measure=finding(2)))

    assert outcomes[0].measured.ours.median == 1
    assert (outcomes[1].measured, outcomes[1].why_not) == (None, "no time was left for it")
    assert faults == 0


def test_a_row_that_was_begun_in_time_is_finished(clock):
    def slow(stage):
        clock.now += QUICK.limit
        return finding(1)(stage)

    outcomes, _ = measured(row("slow", measure=slow), row("just in time", measure=finding(2)))

    assert [found.why_not for found in outcomes] == ["", ""]


def test_a_short_run_is_shorter_in_everything():
    for name in ("rounds", "seconds", "warm_up", "limit", "contracts", "waiting"):
        assert getattr(QUICK, name) < getattr(FULL, name)


def test_rows_have_names_of_their_own():
    names = [found.name for found in ROWS]

    assert len(names) == len(set(names))
