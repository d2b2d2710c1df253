"""A bridge in its thread: its error is shown in its status, and the other bridges go on."""

import json

import pytest

from bridges.runtime import supervisor as bridge_supervisor
from bridges.runtime.supervisor import Supervisor, ThreadRun, make_reporter
from streams import connections
from streams.snapshot import holder
from synapse.delivery import status as bridge_stats
from synapse.delivery.status import Overview, Status, pack, unpack
from synapse.redis import keyspace
from synapse.redis.commands import participants
from tests.bridges.cast import GROUP, STREAM, made_by_us, now_ms, publish
from tests.bridges.sinks import definition
from tests.definitions import define
from tests.patience import eventually
from tests.tables import for_each


@pytest.fixture
def work(redis, db, handlers, monkeypatch, settings):
    """Run bridges until each is as the test expects: `work(bridge, …)` returns the supervisor."""
    define(STREAM)
    settings.BRIDGE_SINKS = {**settings.BRIDGE_SINKS, "nowhere": "tests.bridges.sinks.Nowhere"}
    monkeypatch.setattr(bridge_supervisor, "BLOCK_MS", 50)
    supervisors = []

    def work(*bridges, **options):
        # Loaded here: the threads would not see this test's transaction.
        holder.current()
        supervisor = Supervisor(
            lambda: {bridge.name: bridge for bridge in bridges},
            start=lambda bridge: ThreadRun(bridge, say=[].append, **options),
            report=make_reporter(connections.executor),
        )
        supervisors.append(supervisor)
        supervisor.step()
        return supervisor

    yield work
    for supervisor in supervisors:
        assert supervisor.stop(60)


def nowhere(name="good", **columns):
    return definition(**{"sink": "nowhere", "name": name, **columns})


def looked(*bridges):
    """Return how the bridges are, as the admin sees them."""
    return connections.executor().run(bridge_stats.read_overviews(bridges))


def states(supervisor):
    supervisor.step()
    return {bridge.name: status.state for bridge, status in supervisor.totals()}


def test_a_running_bridge_delivers_and_reports_its_progress(redis, work):
    bridge = nowhere()
    publish(redis, 30)
    supervisor = work(bridge)

    eventually(lambda: redis.hget(keyspace.counters(STREAM, "good"), "done") == b"30")
    supervisor._due = 0
    supervisor.step()

    found = looked(bridge)["good"]
    assert (found.state, found.counters["done"], found.pending, found.waiting) == ("running", 30, 0, 0)
    assert (found.lag.events, found.lag.exact, found.reason) == (0, True, "")
    assert found.worst.delivered == 30
    assert found.last_delivered_ms > 1_700_000_000_000


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        (
            {"sink": "paper"},
            "there is no sink “paper”; known here: console, database, handler, notification, nowhere",
        ),
        ({"sink": "handler", "config": {}}, "handler: is missing"),
        ({"sink": "handler", "config": {"handler": "os.system"}}, "is not on the list of SYNAPSE_HANDLERS"),
        ({"sink": "handler", "config": {"handler": "tests.bridges.shop.missing"}}, "has no function missing"),
        ({"stream": "nowhere"}, "There is no stream “nowhere”"),
    ],
)
def test_a_bridge_that_cannot_work_says_why_and_the_others_go_on(redis, work, columns, why):
    bad = nowhere("bad", **columns)
    publish(redis, 3)
    supervisor = work(bad, nowhere())

    eventually(lambda: states(supervisor) == {"bad": "failed", "good": "running"})
    eventually(lambda: redis.hget(keyspace.counters(STREAM, "good"), "done") == b"3")
    supervisor._due = 0
    supervisor.step()

    found = looked(bad)["bad"]
    assert found.state == "failed"
    assert why in found.reason


def test_a_bridge_of_a_redis_key_of_another_type_fails_until_it_is_a_stream(redis, work):
    define("parcels")
    redis.set("parcels", "text")
    bad = nowhere("bad", stream="parcels")
    publish(redis, 1)
    supervisor = work(bad, nowhere())

    eventually(lambda: states(supervisor) == {"bad": "failed", "good": "running"})
    assert "does not hold a stream (WRONGTYPE)" in supervisor.totals()[0][1].reason
    assert looked(bad)["bad"].problem is not None
    redis.delete("parcels")
    redis.xadd("parcels", {"event_type": "order-placed"})

    eventually(lambda: redis.hget(keyspace.counters("parcels", "bad"), "done") == b"1")
    eventually(lambda: states(supervisor) == {"bad": "running", "good": "running"})


def test_a_group_that_another_program_made_is_the_bridges_by_its_definition(redis, work):
    redis.xgroup_create(STREAM, "good", "0", mkstream=True)
    ids = publish(redis, 2)
    redis.xreadgroup("good", "elsewhere", {STREAM: ">"}, count=1)
    row = nowhere(pk=1, lease_seconds=0.2, handler_timeout_seconds=0.1)

    work(row)

    eventually(lambda: redis.hget(keyspace.counters(STREAM, "good"), "done") == b"2")
    assert redis.hexists(keyspace.counters(STREAM, "good"), "made_by")
    assert len(ids) == 2


def test_a_draining_bridge_ends_when_all_events_are_delivered(redis, work):
    publish(redis, 3)
    supervisor = work(nowhere(), drain=True)

    eventually(lambda: not any(run.is_alive for run in supervisor._runs.values()))

    assert supervisor.totals()[0][1].delivered == 3


STATUS = Status(state="running", since=5.0, delivered=7, last_delivered_at=6.5, error="one went wrong")


def test_a_status_is_read_as_it_was_written():
    assert unpack(pack(STATUS)) == STATUS


@for_each(
    "words",
    [
        b"",
        b"what",
        b"[]",
        b'"running"',
        b"{}",
        b'{"state": "dancing", "since": 1}',
        b'{"state": "running"}',
        b'{"state": "running", "since": "now"}',
        b'{"state": "running", "since": 1, "reason": []}',
        b'{"state": "running", "since": 1, "last_delivered_at": {}}',
    ],
)
def test_text_that_is_no_status_is_ignored(words):
    assert unpack(words) is None


def test_a_status_of_a_later_version_is_understood_as_far_as_it_goes():
    later = {**json.loads(pack(STATUS)), "mood": "good"}

    assert unpack(json.dumps(later).encode()) == STATUS


class TestOverview:
    def say(self, consumer, **status):
        words = pack(Status(**{"since": 1.0, "state": "running", **status}))
        connections.executor().execute([participants.report(STREAM, "warehouse", consumer, words, keep_ms=60_000)])

    def look(self, **columns) -> Overview:
        bridge = definition("console", group="warehouse", **columns)
        return looked(bridge)[bridge.name]

    def test_a_bridge_without_reports_is_not_running(self, redis):
        assert self.look().state == "not running"
        assert (self.look().lag, self.look().reason) == (None, "")

    def test_the_worst_state_of_several_processes_is_shown(self, redis):
        self.say("one")
        self.say("other", state="waiting", reason="Redis cannot be reached")
        assert (self.look().state, self.look().reason) == ("waiting", "Redis cannot be reached")

        self.say("third", state="failed", reason="no such handler")
        assert (self.look().state, self.look().reason) == ("failed", "no such handler")

    def test_a_disabled_bridge_is_disabled_despite_its_reports(self, redis):
        self.say("one")

        assert self.look(enabled=False).state == "disabled"

    def test_a_bridge_whose_reports_are_old_is_not_running(self, redis):
        self.say("one")
        row = redis.hget(keyspace.reports(STREAM, "warehouse"), "one").partition(b" ")
        redis.hset(
            keyspace.reports(STREAM, "warehouse"), "one", b"%d %s" % (int(row[0]) - bridge_stats.FRESH_MS, row[2])
        )

        assert self.look().state == "not running"

    def test_the_lag_and_the_pending_and_scheduled_events_are_counted(self, redis):
        publish(redis, 5)
        redis.xgroup_create(STREAM, "warehouse", "0")
        redis.xreadgroup("warehouse", "one", {STREAM: ">"}, count=2)
        redis.zadd(keyspace.waiting(STREAM, "warehouse"), {"1-1": 0})

        found = self.look()

        assert (found.lag.events, found.pending, found.waiting) == (3, 2, 1)
        assert found.lag_seconds >= 0

    def test_the_time_of_the_last_delivery_outlives_its_process(self, redis, bridge):
        made_by_us(redis)
        publish(redis, 2)
        begun = now_ms(redis)
        bridge().run_dry()

        (found,) = looked(definition("console", group=GROUP)).values()

        assert found.statuses == {}
        assert begun <= found.last_delivered_ms <= now_ms(redis)

    def test_a_group_without_deliveries_has_no_time_of_the_last_delivery(self, redis):
        self.say("one")

        assert self.look().last_delivered_ms is None

    def test_foreign_keys_in_place_of_reports_and_counters_are_ignored(self, redis):
        for key in (keyspace.reports, keyspace.counters, keyspace.waiting):
            redis.set(key(STREAM, "warehouse"), "text")

        assert self.look().state == "not running"
        assert self.look().counters["done"] == 0

    def test_without_bridges_redis_is_not_asked(self):
        assert looked() == {}
