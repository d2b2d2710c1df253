"""A process may end before or after anything that it asks, as by kill -9: no event is lost, and none is in two places.

That goes for workers, and for those who act on a group: people, programs that pull, the janitor. The steps before the
end are those of each worker, and are checked one by one in `test_lost_answers.py`.
"""

import faulthandler
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from streams import connections
from synapse.delivery.sink import Delivery
from synapse.redis import Command, SyncExecutor
from tests.chaos.acts import ACTS, does_it_again, in_every_place
from tests.chaos.profile import FULL
from tests.chaos.scene import ASKED, Handler, Scene, asked

STATUS = 9
# In seconds, of a process that does some work.
LONGEST = 120
# Which of the times that a step is done. Where it is done less often, the worker ends by itself.
TIMES = range(1, 21) if FULL else (1,)
BEFORE, AFTER = "before", "after"

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def at_either_time(test):
    """Have a process end before or after a step, and in the full run once so and once so."""
    return pytest.mark.product("when")(pytest.mark.parametrize("when", [BEFORE, AFTER])(test))


class DyingExecutor(SyncExecutor):
    """Ends its process before or after it asks for something for the so-many-th time."""

    def __init__(self, what: str, when: str, time: int) -> None:
        super().__init__(connections.server())
        self._what, self._when, self._left = what, when, time

    def execute(self, commands: Sequence[Command]) -> list[Any]:
        for place, command in enumerate(commands):
            if asked(command.words) == self._what:
                self._left -= 1
                if self._left == 0:
                    super().execute(commands[: place + (self._when == AFTER)])
                    os._exit(STATUS)
        return super().execute(commands)


class DyingHandler(Handler):
    """Ends its process before or after it has handled so many events."""

    def __init__(self, scene: Scene, when: str, time: int) -> None:
        super().__init__(scene.folder)
        self._when, self._left = when, time

    def take(self, delivery: Delivery) -> None:
        self._left -= 1
        if self._left == 0 and self._when == BEFORE:
            os._exit(STATUS)
        try:
            super().take(delivery)
        finally:
            if self._left == 0:
                os._exit(STATUS)


def ends(work: Callable[[], object]) -> bool:
    """Do some work in a process of its own. Return whether it ended where it was told to."""
    pid = os.fork()
    if pid == 0:
        # A lock that a thread held at the fork is never free here: end then, with the stacks.
        faulthandler.dump_traceback_later(LONGEST, exit=True, file=sys.__stderr__)
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, STATUS)
    return os.waitstatus_to_exitcode(status) == STATUS


def goes_on(scene: Scene, executor: SyncExecutor) -> None:
    """The law holds where it was cut off; the next worker does the rest."""
    scene.check()
    scene.run_dry(scene.worker(executor, Handler(scene.folder)), executor)
    scene.check_the_end()


@at_either_time
@pytest.mark.parametrize("what", ASKED)
@pytest.mark.parametrize("time", TIMES)
def test_a_worker_may_end_before_and_after_each_thing_that_it_asks_of_redis(scene, executor, what, when, time):
    dying = DyingExecutor(what, when, time)

    ended = ends(lambda: scene.run_dry(scene.worker(dying, Handler(scene.folder)), dying, checks=False))

    # Every one of them is asked for at least once.
    assert ended or time > 1
    goes_on(scene, executor)


@at_either_time
@pytest.mark.parametrize("time", TIMES if FULL else (1, 3))
def test_a_worker_may_end_before_and_after_its_handler(scene, executor, when, time):
    alive = SyncExecutor(connections.server())

    ended = ends(lambda: scene.run_dry(scene.worker(alive, DyingHandler(scene, when, time)), alive, checks=False))

    assert ended or time > 10
    goes_on(scene, executor)


@at_either_time
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("time", range(1, 7) if FULL else [1])
def test_a_process_acting_on_a_group_may_die_before_or_after_each_command(scene, executor, act, when, time):
    in_every_place(scene, executor)

    ended = ends(lambda: ACTS[act].do(DyingExecutor(ACTS[act].script, when, time)))

    assert ended or time > 1
    does_it_again(scene, executor, ACTS[act])
