"""Reports of bridges: repeated where something changed, while one word of their process tells that they live."""

import pytest

from bridges.runtime.supervisor import REPEAT_EVERY, Report, make_reporter
from streams import connections
from synapse.delivery import membership
from synapse.delivery import status as bridge_stats
from synapse.delivery.status import Status
from synapse.redis import keyspace
from tests.bridges.cast import STREAM
from tests.bridges.sinks import definition

PLACE = (STREAM, "warehouse")


class Scene:
    """A process with a bridge, whose clock is in the hands of the test; `sent` are the commands that it sent."""

    def __init__(self, redis):
        self.redis, self.now, self.sent = redis, 0.0, []
        self.bridge = definition("console", group="warehouse")
        self.consumer = membership.new_consumer_name()
        self._note = make_reporter(lambda: self, lambda: self.now)

    def execute(self, commands):
        self.sent = [command.words[3] for command in commands if command.words[0] == "EVALSHA"]
        return connections.executor().execute(commands)

    def say(self, **status):
        found = Status(**{"state": "running", "since": 1.0, **status})
        self._note([Report(bridge=self.bridge, consumer=self.consumer, status=found)])

    def leave(self):
        self._note([Report(bridge=self.bridge, consumer=self.consumer, status=None)])

    def grow_old(self, key, name):
        """Make a report older than the age at which reports expire."""
        at, _, words = self.redis.hget(key, name).partition(b" ")
        self.redis.hset(key, name, b"%d %s" % (int(at) - bridge_stats.FRESH_MS, words))

    @property
    def state(self):
        return connections.executor().run(bridge_stats.read_overviews([self.bridge]))[self.bridge.name].state


@pytest.fixture
def scene(redis):
    return Scene(redis)


def test_an_unchanged_status_is_not_sent_again(scene):
    scene.say()
    assert scene.sent == [keyspace.PROCESSES, keyspace.reports(*PLACE)]

    scene.now += 1
    scene.say()

    assert scene.sent == [keyspace.PROCESSES]


def test_a_changed_status_is_sent_at_once(scene):
    scene.say()

    scene.say(delivered=1)

    assert keyspace.reports(*PLACE) in scene.sent


def test_an_unchanged_status_is_sent_again_before_it_expires(scene):
    scene.say()
    scene.now += REPEAT_EVERY

    scene.say()

    assert keyspace.reports(*PLACE) in scene.sent


def test_an_old_status_holds_while_its_process_lives(scene):
    scene.say()
    scene.grow_old(keyspace.reports(*PLACE), scene.consumer)

    assert scene.state == "running"


def test_an_old_status_of_a_process_that_fell_silent_holds_no_more(scene):
    scene.say()
    scene.grow_old(keyspace.reports(*PLACE), scene.consumer)
    scene.grow_old(keyspace.PROCESSES, membership.process_name())

    assert scene.state == "not running"


def test_an_old_status_of_another_process_holds_no_more(scene):
    scene.say()
    scene.grow_old(keyspace.reports(*PLACE), scene.consumer)
    scene.redis.hset(keyspace.PROCESSES, "elsewhere:1", scene.redis.hget(keyspace.PROCESSES, membership.process_name()))
    scene.redis.hdel(keyspace.PROCESSES, membership.process_name())

    assert scene.state == "not running"


def test_a_bridge_that_ended_says_nothing_more_though_its_process_lives(scene):
    scene.say()

    scene.leave()

    assert scene.state == "not running"


def test_a_report_that_redis_did_not_take_is_sent_again(scene, monkeypatch, no_redis):
    scene.say()
    assert scene.sent[1:] == [keyspace.reports(*PLACE)]

    scene.say()

    assert scene.sent[1:] == [keyspace.reports(*PLACE)]


def test_a_foreign_key_in_place_of_the_heartbeats_does_not_hide_a_status(scene):
    scene.redis.set(keyspace.PROCESSES, "not ours")

    scene.say()

    assert scene.state == "running"
