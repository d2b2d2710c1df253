"""A garbage collector that does not look again and again at what stays."""

import gc
import weakref

import pytest

from core import collector


class Ring:
    """Holds itself: only the collector can end it."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def as_before():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("as_before")
def test_what_is_there_is_not_looked_at_again_and_what_comes_is():
    old, new = Ring(), Ring()
    before = weakref.ref(old)

    collector.spare()
    there = {id(one) for one in gc.get_objects()}
    later = Ring()
    after = weakref.ref(later)
    del old, later
    gc.collect()

    assert id(new) not in there
    assert before() is not None
    assert after() is None


@pytest.mark.usefixtures("as_before")
def test_few_young_objects_are_looked_at_at_a_time():
    collector.spare()

    young, middle, _ = gc.get_threshold()
    assert young * middle <= 20_000
