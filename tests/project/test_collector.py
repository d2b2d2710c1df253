"""The garbage collector does not scan long-lived objects again and again."""

import ctypes
import gc
import subprocess
import sys
import weakref

import pytest

from synapse.runtime import process


class Ring:
    """Holds itself: only the collector can end it."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def as_before():
    thresholds = gc.get_threshold()
    yield
    # What is frozen stays so, as the tests themselves are: the collector would look at thousands of them again.
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("as_before")
def test_objects_present_at_start_are_frozen_and_later_ones_are_collected():
    old, new = Ring(), Ring()
    before = weakref.ref(old)

    process.tune_garbage_collector()
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
    process.tune_garbage_collector()

    young, middle, _ = gc.get_threshold()
    assert young * middle <= 20_000


# In a process of its own: the setting stays.
ALLOCATE = """
import ctypes
from synapse.runtime import process
class Mallinfo(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Mallinfo
{before}
large = b"x" * (8 * 1024 * 1024)
del large
before = mallinfo().hblkhd
block = b"x" * (2 * 1024 * 1024)
print(mallinfo().hblkhd - before >= len(block))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="no glibc 2.33 or later")
@pytest.mark.parametrize(
    ("before", "is_apart"), [("", "False"), ("process.keep_large_blocks_apart()", "True")], ids=["unset", "set"]
)
def test_a_large_block_is_taken_from_the_system_by_itself_also_after_a_larger_one(before, is_apart):
    said = subprocess.run(
        [sys.executable, "-c", ALLOCATE.format(before=before)], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == is_apart
