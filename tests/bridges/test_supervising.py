"""Many bridges in one process: each is started, stopped and told of by itself."""

import pytest

from bridges.runtime.supervisor import REPORT_EVERY, TRY_AGAIN, Supervisor
from synapse.delivery.status import Status
from tests.bridges.sinks import definition


class Run:
    """A bridge that runs because somebody says so."""

    def __init__(self, bridge, number):
        self.bridge = bridge
        self.consumer = f"{bridge.name}-{number}"
        self.is_alive = True
        self.asked_to_stop = False
        self.said = Status(state="running", since=0)

    def request_stop(self):
        self.asked_to_stop = True

    def status(self):
        return self.said

    def end(self, why=""):
        self.is_alive = False
        if why:
            self.said = Status(state="failed", since=0, reason=why)


class Scene:
    """A supervisor whose clock, bridges and definitions are in the hands of the test."""

    def __init__(self, **options):
        self.now = 0.0
        self.wanted = {}
        self.runs = []
        self.reports = []
        self.supervisor = Supervisor(
            lambda: dict(self.wanted), start=self.start, report=self.reports.append, clock=lambda: self.now, **options
        )

    def start(self, bridge):
        self.runs.append(Run(bridge, len(self.runs)))
        return self.runs[-1]

    def want(self, *names, **columns):
        self.wanted = {name: definition("console", name=name, **columns) for name in names}
        return self.step()

    def step(self):
        return self.supervisor.step()

    @property
    def alive(self):
        return [run.consumer for run in self.runs if run.is_alive and not run.asked_to_stop]

    @property
    def heard(self):
        return {report.consumer: report.status and report.status.state for report in self.reports[-1]}


@pytest.fixture
def scene():
    return Scene()


def test_the_bridges_that_are_wanted_run(scene):
    assert scene.want("one", "other") is True
    assert scene.alive == ["one-0", "other-1"]
    assert scene.step() is False


def test_a_bridge_that_is_wanted_no_more_is_asked_to_stop_and_forgotten_when_it_has(scene):
    scene.want("one", "other")

    scene.want("other")
    assert scene.runs[0].asked_to_stop
    assert scene.step() is False
    scene.runs[0].end()
    assert scene.step() is True

    assert {"one-0": None} in [{r.consumer: r.status for r in reports} for reports in scene.reports]
    assert scene.alive == ["other-1"]
    assert scene.heard == {"other-1": "running"}


def test_a_bridge_that_changed_is_started_anew_once_it_has_finished(scene):
    scene.want("one", batch_size=100)

    scene.want("one", batch_size=200)
    assert (scene.alive, len(scene.runs)) == ([], 1)
    scene.runs[0].end()
    scene.step()

    assert scene.alive == ["one-1"]
    assert scene.runs[1].bridge.batch_size == 200


def test_a_bridge_that_failed_says_so_and_is_tried_again_later(scene):
    scene.want("bad", "good")
    scene.runs[0].end("there is no sink “paper”")

    scene.now = 1.0
    scene.step()
    assert scene.heard == {"bad-0": "failed", "good-1": "running"}
    scene.now = 1.0 + TRY_AGAIN - 0.1
    assert scene.step() is False
    scene.now = 1.0 + TRY_AGAIN
    assert scene.step() is True

    assert scene.alive == ["good-1", "bad-2"]


def test_a_bridge_that_is_wanted_again_before_it_has_stopped_is_started_anew_at_once(scene):
    scene.want("one")
    scene.want()
    scene.want("one")

    scene.runs[0].end()
    scene.step()

    assert scene.alive == ["one-1"]


def test_a_bridge_that_failed_is_tried_at_once_when_it_is_put_right(scene):
    scene.want("bad", batch_size=1)
    scene.runs[0].end("wrong")
    scene.step()

    scene.want("bad", batch_size=2)

    assert scene.alive == ["bad-1"]


def test_each_bridge_is_told_of_every_second(scene):
    scene.want("one")
    scene.reports.clear()
    for moment in (0.3, 0.6, REPORT_EVERY, 1.3, 2 * REPORT_EVERY):
        scene.now = moment
        scene.step()

    assert len(scene.reports) == 2


def test_stopping_asks_all_and_waits_for_them(scene):
    scene.want("one", "other")
    waits = []

    def wait(seconds):
        waits.append(seconds)
        scene.runs[len(waits) - 1].end()

    assert scene.supervisor.stop(10, wait) is True

    assert all(run.asked_to_stop for run in scene.runs)
    assert scene.heard == {"one-0": None, "other-1": None}


def test_stopping_does_not_wait_for_ever(scene):
    scene.want("stuck")

    def wait(seconds):
        scene.now += 1

    assert scene.supervisor.stop(10, wait) is False
    assert scene.now == 10


def test_once_is_over_when_all_are():
    scene = Scene(once=True)
    scene.want("one", "other")
    scene.runs[0].end()
    assert scene.supervisor.is_over is False
    scene.runs[1].end("wrong")
    scene.now = 100
    scene.step()

    assert scene.supervisor.is_over is True
    assert len(scene.runs) == 2
    assert [status.state for _, status in scene.supervisor.totals()] == ["running", "failed"]
