"""Work that takes long says so while it goes on."""

import threading

from synapse.runtime import periodic


def test_work_that_takes_long_says_so_again_and_again():
    said = []
    is_told_twice = threading.Event()

    def say(line):
        said.append(line)
        if len(said) == 2:
            is_told_twice.set()

    with periodic.report_long_work(say, "Applying", every=0.001):
        assert is_told_twice.wait(60)

    assert said[0] == "Applying: 0 s so far."


def test_work_that_is_done_soon_says_nothing():
    said = []

    with periodic.report_long_work(said.append, "Applying"):
        pass

    assert said == []


def test_a_terminal_that_is_gone_ends_no_work():
    is_told = threading.Event()

    def say(_):
        is_told.set()
        raise BrokenPipeError

    with periodic.report_long_work(say, "Applying", every=0.001):
        assert is_told.wait(60)
