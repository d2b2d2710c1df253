"""Two contenders measured in turns: their conditions, and the report on them."""

from types import SimpleNamespace

import pytest

from benchmarks.load.values import Result
from benchmarks.measures.rate import Contender, Failed, compare
from benchmarks.values import NotMeasured, Plan

PLAN = Plan(name="test", rounds=3, seconds=2, warm_up=0, limit=60, contracts=1, waiting=1)


class Valkey:
    """Counts the events published since the last flush."""

    def __init__(self):
        self.stored = 0

    def fresh(self, stream):
        self.stored = 0

    def added(self, stream):
        return self.stored


def stage(*, plan=PLAN, note=""):
    return SimpleNamespace(plan=plan, valkey=Valkey(), load=SimpleNamespace(note=note))


def contender(rates, *, name="ours", **more):
    left = iter(rates)

    def send(seconds):
        return Result(requests=next(left) * seconds, seconds=seconds, errors=0, p50_ms=1, p99_ms=2)

    return Contender(name=name, send=send, **more)


def missing():
    raise NotMeasured("the peer is not installed")


def test_each_round_has_a_figure_of_both():
    ours, peer = contender([10, 40, 20]), contender([10, 10, 5], name="peer")

    found = compare(stage(), "requests/s", lambda: ours, lambda: peer)

    assert (found.ours.values, found.peer.values) == ([10, 40, 20], [10, 10, 5])
    assert (found.ratio, found.unit) == (2, "requests/s")
    assert [[one["rate"] for one in pair] for pair in found.rounds] == [[10, 10], [40, 10], [20, 5]]


def test_a_round_to_warm_up_counts_for_nothing():
    plan = Plan(name="test", rounds=1, seconds=2, warm_up=1, limit=60, contracts=1, waiting=1)
    ours, peer = contender([1, 10]), contender([1, 5])

    assert compare(stage(plan=plan), "requests/s", lambda: ours, lambda: peer).ratio == 2


def test_without_the_peer_we_are_measured_alone():
    found = compare(stage(note="no wrk"), "requests/s", lambda: contender([1, 2, 3]), missing)

    assert (found.ours.median, found.peer, found.ratio) == (2, None, None)
    assert found.notes == ["no wrk", "the peer is not installed"]


def test_a_request_of_many_events_is_worth_as_many():
    found = compare(stage(), "events/s", lambda: contender([1, 1, 1], events=500), missing)

    assert found.ours.median == 500


@pytest.mark.parametrize(("requests", "errors"), [(0, 0), (10, 1)])
def test_a_refused_request_or_none_at_all_fails_the_row(requests, errors):
    result = Result(requests=requests, seconds=1, errors=errors, p50_ms=0, p99_ms=0)

    with pytest.raises(Failed, match=f"{errors} of {requests} requests failed"):
        compare(stage(), "requests/s", lambda: Contender(name="ours", send=lambda _: result), missing)


@pytest.mark.parametrize("stored", [19, 20, 30])
def test_answers_are_counted_against_what_is_stored(stored):
    scene = stage()

    def send(seconds):
        scene.valkey.stored += stored
        return Result(requests=10, seconds=1, errors=0, p50_ms=0, p99_ms=0)

    publisher = Contender(name="ours", send=send, events=2, stream="orders")
    if stored < 20:
        with pytest.raises(Failed, match="stored fewer events"):
            compare(scene, "events/s", lambda: publisher, missing)
    else:
        assert compare(scene, "events/s", lambda: publisher, missing).ours.median == 20
