"""Which traces are sampled: a caller's wish counts within the ratio, and cannot be made to count always."""

from functools import cache
from random import Random

import pytest

from synapse.tracing.context import read_context
from synapse.tracing.sampler import Sampler
from synapse.tracing.settings import TraceSettings, sampler_of
from synapse.tracing.tracer import Tracer

MANY = 20_000


@cache
def parents(*, flags="01", seed=1):
    random = Random(seed)
    return [f"00-{random.getrandbits(128) or 1:032x}-{random.getrandbits(64) or 1:016x}-{flags}" for _ in range(MANY)]


def share(sampler, asked):
    return sum(map(sampler.is_sampled, asked)) / len(asked)


def test_the_ratio_holds_for_requests_without_a_trace():
    assert share(Sampler(0.1), [""] * MANY) == pytest.approx(0.1, abs=0.02)


def test_the_ratio_holds_for_callers_that_sample_everything():
    assert share(Sampler(0.1), parents()) == pytest.approx(0.1, abs=0.02)


def test_traces_are_those_that_other_samplers_by_ratio_take():
    sampler = Sampler(0.25)

    assert sampler.is_sampled(f"00-{'f' * 16}{'0' * 16}-{'1' * 16}-01")
    assert sampler.is_sampled(f"00-{'f' * 16}3fffffffffffffff-{'1' * 16}-01")
    assert not sampler.is_sampled(f"00-{'f' * 16}4000000000000000-{'1' * 16}-01")


def test_a_caller_that_chooses_its_trace_ids_is_traced_at_most_twice_as_often_as_the_ratio():
    chosen = [f"00-{number + 1:016x}{'0' * 16}-{'1' * 16}-01" for number in range(MANY)]

    assert share(Sampler(0.01), chosen) <= 0.02 + 100 / MANY


def test_a_trace_that_was_sampled_stays_sampled_where_most_events_have_none():
    sampler = Sampler(0.01)
    stored = [f"00-{sampler.new_trace_id()}-{'1' * 16}-01" if number % 100 == 0 else "" for number in range(MANY * 5)]

    decided = [sampler.is_sampled(parent) for parent in stored]

    assert all(is_sampled for is_sampled, parent in zip(decided, stored, strict=True) if parent)


def test_all_attempts_for_the_events_of_a_sampled_batch_are_sampled():
    sampler = Sampler(0.01)
    parent = f"00-{sampler.new_trace_id()}-{'1' * 16}-01"

    assert all(sampler.is_event_sampled(parent) for _ in range(500 * 4))
    # The limit for callers is as it was.
    assert share(sampler, parents()) == pytest.approx(0.01, abs=0.005)


def test_an_event_is_decided_on_by_its_trace_as_its_publish_was():
    sampler = Sampler(0.25)

    assert sampler.is_event_sampled(f"00-{'f' * 16}3fffffffffffffff-{'1' * 16}-01")
    assert not sampler.is_event_sampled(f"00-{'f' * 16}4000000000000000-{'1' * 16}-01")
    assert not sampler.is_event_sampled(f"00-{'f' * 16}3fffffffffffffff-{'1' * 16}-00")
    assert sum(map(sampler.is_event_sampled, [""] * MANY)) / MANY == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("heeds_callers", [True, False])
def test_a_trace_that_is_refused_as_too_many_is_stored_as_not_sampled(heeds_callers):
    sampler = Sampler(0.01, heeds_callers=heeds_callers)
    tracer = Tracer(sampler, put=[].append)
    chosen = [f"00-{number + 1:016x}{'0' * 16}-{'1' * 16}-03" for number in range(MANY)]

    kept = list(map(tracer.admit, chosen))

    assert {parent[-2:] for parent in kept} == {"02", "03"}
    assert sum(map(sampler.is_event_sampled, kept)) / MANY <= 0.02 + 100 / MANY


@pytest.mark.parametrize(
    "parent", ["", "x" * 55, f"00-{'1' * 16}{'f' * 16}-{'1' * 16}-01", f"00-{'1' * 32}-{'1' * 16}-00"]
)
def test_a_trace_that_no_delivery_samples_is_stored_as_it_came(parent):
    assert Tracer(Sampler(0.01), put=[].append).refuse(parent) == parent


def test_a_trace_that_its_caller_does_not_sample_is_not_sampled():
    assert share(Sampler(1.0), parents(flags="00")) == 0
    assert share(Sampler(1.0, heeds_callers=False), parents(flags="00")) == 1


def test_everything_is_sampled_with_the_ratio_one_and_nothing_with_zero():
    for asked in ([""] * MANY, parents()):
        assert share(Sampler(1.0), asked) == 1
        assert share(Sampler(0.0), asked) == 0


def test_a_traceparent_that_is_none_counts_as_none():
    assert share(Sampler(1.0), ["x" * 54 + "1"] * 10) == 1
    assert share(Sampler(0.0), ["x" * 54 + "1"] * 10) == 0


def test_new_traces_are_within_the_ratio():
    sampler = Sampler(0.001)

    made = [f"00-{sampler.new_trace_id()}-{'1' * 16}-01" for _ in range(100)]

    assert all(read_context(parent) and sampler.is_sampled(parent) for parent in made)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("always_on", (1, 1, 1)),
        ("always_off", (0, 0, 0)),
        ("traceidratio", (0.5, 0.5, 0.5)),
        ("parentbased_always_on", (1, 1, 0)),
        ("parentbased_always_off", (0, 0, 0)),
        ("parentbased_traceidratio", (0.5, 0.5, 0)),
    ],
)
def test_the_samplers_of_opentelemetry_are_there_by_name(name, expected):
    sampler = sampler_of(TraceSettings(sampler=name, ratio=0.5))

    found = [share(sampler, asked) for asked in ([""] * MANY, parents(), parents(flags="00"))]

    assert found == pytest.approx(expected, abs=0.03)
