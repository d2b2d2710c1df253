"""Medians, ratios, and when a bar is reached."""

import pytest

from benchmarks.values import Bar, Measured, Samples


def measured(ours, peer=None):
    return Measured(ours=Samples(ours), peer=Samples(peer) if peer else None, unit="ms")


def test_a_disturbed_round_does_not_move_the_median():
    samples = Samples([10, 900, 12])

    assert (samples.low, samples.median, samples.high) == (10, 12, 900)


def test_the_ratio_is_that_of_the_medians():
    assert measured([10, 30, 20], [5, 5, 80]).ratio == 4


def test_without_a_peer_there_is_no_ratio():
    assert measured([10]).ratio is None


@pytest.mark.parametrize(
    ("bar", "ours", "peer", "met"),
    [
        (Bar(ratio_at_least=2), [20], [10], True),
        (Bar(ratio_at_least=2), [19], [10], False),
        (Bar(ratio_at_most=2), [20], [10], True),
        (Bar(ratio_at_most=2), [21], [10], False),
        (Bar(at_least=20), [20], None, True),
        (Bar(at_least=20), [19], None, False),
        (Bar(at_most=20), [20], None, True),
        (Bar(at_most=20), [21], None, False),
        # Nothing is to be reached.
        (Bar(), [20], [10], None),
        # The peer that the bar speaks of is missing.
        (Bar(ratio_at_least=2), [20], None, None),
        # All limits count.
        (Bar(ratio_at_least=2, at_least=100), [20], [10], False),
        (Bar(ratio_at_least=2, at_least=20), [20], [10], True),
        # What is known to be missed is missed, whatever is not known.
        (Bar(ratio_at_least=2, at_least=100), [20], None, False),
        (Bar(ratio_at_least=2, at_least=20), [20], None, None),
    ],
)
def test_a_bar_is_reached_missed_or_cannot_be_judged(bar, ours, peer, met):
    assert bar.met(measured(ours, peer)) is met


@pytest.mark.parametrize(
    ("bar", "text"),
    [
        (Bar(), "-"),
        (Bar(ratio_at_least=0.5), ">= 0.5x"),
        (Bar(at_most=1500), "<= 1,500"),
        (Bar(ratio_at_most=1.2, at_least=10_000), "<= 1.2x, >= 10,000"),
    ],
)
def test_a_bar_is_written_as_its_limits(bar, text):
    assert str(bar) == text
