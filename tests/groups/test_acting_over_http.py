"""Acting on groups over HTTP: creating, pausing, moving, deleting; and refusals with their reasons."""

import pytest

from bridges.models import Bridge
from core.models import AuditEntry
from streams.snapshot import holder
from synapse.delivery.status import Status, pack
from synapse.redis.commands import delivery as delivery_commands
from synapse.redis.commands import participants
from synapse.redis.commands.delivery import Failure
from tests.bridges.cast import DEAD, GROUP, PLACE, STREAM, KeepingSink, made_by_us, pend, publish, wait
from tests.tables import for_each

pytestmark = pytest.mark.django_db


@pytest.fixture
def a_bridge(orders):
    def make(**columns):
        row = Bridge.objects.create(name="shop", stream=orders, group=GROUP, sink="console", **columns)
        holder.forget()
        return row

    return make


@pytest.fixture
def made(redis):
    """The group, made by Synapse."""
    made_by_us(redis)


def records():
    return [(row.action, row.target, row.before, row.after) for row in AuditEntry.objects.order_by("id")]


class TestShowing:
    def test_a_group_shows_its_backlog_by_place_and_its_age(self, api, redis, send):
        ids = wait(redis, send, 3)
        send(delivery_commands.fail(*PLACE, [_dead(send)]))
        publish(redis, 2)
        redis.hset(f"syn:{{{STREAM}}}:cnt:{GROUP}", mapping={"parked": 4, "lost_trimmed": 7, "lost_silent": 8})

        group = api.group()

        assert [group[name] for name in ("lag", "pending", "waiting", "parked", "dead")] == [2, 0, 2, 4, 1]
        assert (group["lost_trimmed"], group["lost_silent"], group["skipped"]) == (7, 8, 0)
        assert 0 <= group["oldest_seconds"] < 60
        assert group["oldest_exact"] is True
        assert len(ids) == 3

    def test_the_oldest_event_of_the_backlog_may_be_scheduled_for_retry(self, api, redis, send):
        made_by_us(redis)
        redis.xadd(STREAM, {"event_type": "order-placed"}, id="1000-1")
        redis.xreadgroup(GROUP, "reader", {STREAM: ">"})
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=10))
        publish(redis, 1)

        assert api.group()["oldest_seconds"] > 1_000_000

    def test_a_group_names_the_bridge_that_it_belongs_to(self, api, redis, a_bridge):
        redis.xgroup_create(STREAM, "theirs", "0", mkstream=True)
        made_by_us(redis)
        a_bridge(paused=True, owner="sales", labels={"team": "sales"})

        assert api.group()["belongs_to"] == {
            "kind": "bridge",
            "name": "shop",
            "enabled": True,
            "paused": True,
            "owner": "sales",
            "runbook": "",
            "labels": {"team": "sales"},
        }
        assert api.group("theirs")["belongs_to"] is None

    def test_foreign_keys_in_place_of_the_keys_of_a_group_are_ignored(self, api, redis):
        made_by_us(redis)
        for kind in ("due", "cnt", "dlq"):
            redis.set(f"syn:{{{STREAM}}}:{kind}:{GROUP}", "theirs")

        assert (api.group()["waiting"], api.group()["dead"]) == (0, 0)


class TestCreating:
    @pytest.mark.parametrize(("at", "lag"), [("beginning", 3), ("new", 0), ("end", 0), (None, 3)])
    def test_a_group_is_created_at_the_requested_position(self, api, redis, at, lag):
        publish(redis, 3)

        status, made = api("POST", "", {"name": "reports", **({"at": at} if at else {})})

        assert (status, made["group"]) == (201, "reports")
        assert api.group("reports")["lag"] == lag

    def test_an_event_whose_id_is_named_is_included(self, api, redis):
        ids = publish(redis, 3)

        api("POST", "", {"name": "reports", "at": ids[1]})

        assert api.group("reports")["lag"] == 2
        assert records() == [("create", "group reports of orders", None, {"at": ids[1]})]

    def test_a_group_may_be_created_before_there_is_any_event(self, api):
        assert api("POST", "", {"name": "reports"})[0] == 201

    def test_creating_a_group_that_exists_is_answered_409(self, api):
        api("POST", "", {"name": "reports"})

        status, problem = api("POST", "", {"name": "reports"})

        assert (status, problem["type"]) == (409, "urn:synapse:problem:group-exists")

    def test_creating_the_group_of_a_bridge_is_refused(self, api, a_bridge):
        a_bridge()

        assert api("POST", "", {"name": GROUP})[1]["type"] == "urn:synapse:problem:group-owned"

    @for_each(
        "body",
        [
            {"name": "reports", "at": "soon"},
            {"name": "reports", "at": "2999-01-01T00:00:00Z"},
            {"name": "reports", "at": "99999999999999-0"},
            {"name": "reports", "at": "9" * 20},
            {"name": "reports", "at": 5},
            {"name": "syn:reports"},
            {"name": "a b"},
            {"name": ""},
            {"nmae": "reports"},
            {},
            [],
        ],
    )
    def test_an_impossible_name_or_start_of_a_group_is_refused(self, api, redis, body):
        assert api("POST", "", body)[0] == 400
        assert redis.exists(STREAM) == 0


class TestPausing:
    def test_a_bridge_is_paused_and_resumed(self, api, a_bridge):
        row = a_bridge()

        status, paused = api("POST", f"/{GROUP}/pause")
        row.refresh_from_db()

        assert (status, paused["bridge"], paused["paused"], row.paused) == (200, "shop", True, True)
        assert api("POST", f"/{GROUP}/resume")[1]["paused"] is False
        assert [row[0] for row in records()] == ["pause", "resume"]

    def test_pausing_a_paused_bridge_changes_nothing(self, api, a_bridge):
        a_bridge(paused=True)

        assert api("POST", f"/{GROUP}/pause")[0] == 200
        assert records() == []

    def test_other_programs_cannot_be_paused(self, api, redis):
        made_by_us(redis)

        assert api("POST", f"/{GROUP}/pause")[1]["type"] == "urn:synapse:problem:group-unowned"


class TestMoving:
    def test_a_dry_run_counts_the_events_that_would_be_skipped_and_changes_nothing(self, api, redis):
        made_by_us(redis)
        ids = publish(redis, 5)

        status, plan = api("POST", f"/{GROUP}/move", {"to": "end", "dry_run": True})

        assert (status, plan["skips"], plan["repeats"], plan["exact"]) == (200, 5, 0, True)
        assert (plan["from"], plan["to"], plan["hindrance"]) == ("0-0", ids[-1], None)
        assert api.group()["lag"] == 5
        assert records() == []

    def test_a_dry_run_counts_the_events_that_would_be_delivered_again(self, api, redis, send):
        ids = wait(redis, send, 5)

        _, plan = api("POST", f"/{GROUP}/move", {"to": ids[2], "dry_run": True})

        assert (plan["skips"], plan["repeats"], plan["waiting"]) == (0, 3, 5)

    def test_a_move_is_recorded_with_its_result(self, api, redis):
        made_by_us(redis)
        ids = publish(redis, 5)

        status, moved = api("POST", f"/{GROUP}/move", {"to": ids[3]})

        assert (status, moved["skipped"], moved["unread_again"], moved["more"]) == (200, 3, 0, False)
        assert api.group()["lag"] == 2
        assert api.group()["skipped"] == 3
        assert [row[0] for row in records()] == ["move", "moved"]
        assert records()[1][3] == {"last_delivered_id": moved["to"], "skipped": 3, "unread_again": 0}

    def test_a_group_can_be_moved_to_a_time(self, api, redis):
        made_by_us(redis)
        publish(redis, 2)

        assert api("POST", f"/{GROUP}/move", {"to": "2020-01-01T00:00:00Z"})[0] == 200
        assert api.group()["lag"] == 2

    def test_events_scheduled_for_retry_are_discarded_by_a_move_only_on_request(self, api, redis, send, a_bridge):
        wait(redis, send, 3)
        a_bridge(paused=True)

        api("POST", f"/{GROUP}/move", {"to": "end"})
        assert api.group()["waiting"] == 3
        _, moved = api("POST", f"/{GROUP}/move", {"to": "end", "discard_waiting": True})

        assert moved["skipped"] == 3
        assert api.group()["waiting"] == 0

    def test_a_group_is_not_moved_while_its_bridge_delivers(self, api, redis, a_bridge):
        made_by_us(redis)
        a_bridge()

        status, problem = api("POST", f"/{GROUP}/move", {"to": "end"})

        assert (status, problem["type"]) == (409, "urn:synapse:problem:group-in-use")
        assert "pause it first" in problem["detail"]

    def test_a_group_is_not_moved_before_its_processes_have_paused(self, api, redis, send, a_bridge):
        made_by_us(redis)
        a_bridge(paused=True)
        send(participants.report(*PLACE, "worker-1", pack(Status(state="running", since=1.0)), keep_ms=60_000))

        assert "worker-1" in api("POST", f"/{GROUP}/move", {"to": "end"})[1]["detail"]
        send(participants.report(*PLACE, "worker-1", pack(Status(state="paused", since=1.0)), keep_ms=60_000))
        assert api("POST", f"/{GROUP}/move", {"to": "end"})[0] == 200

    def test_a_group_is_not_moved_while_another_program_reads(self, api, redis):
        pend(redis, 1)

        _, plan = api("POST", f"/{GROUP}/move", {"to": "end", "dry_run": True})

        assert "reader" in plan["hindrance"]
        assert api("POST", f"/{GROUP}/move", {"to": "end"})[0] == 409

    def test_a_worker_reads_on_at_the_new_position(self, api, redis, a_bridge, bridge):
        row = a_bridge()
        ids = publish(redis, 6)
        worker = bridge(KeepingSink(), owned=True).run_dry()
        api("POST", f"/{GROUP}/pause")
        api("POST", f"/{GROUP}/move", {"to": ids[4]})
        api("POST", f"/{GROUP}/resume")

        worker.run_dry()

        assert worker.sink.ids == [*ids, *ids[4:]]
        assert row.pk

    @for_each(
        "body",
        [{"to": "soon"}, {"to": ""}, {}, {"to": 7}, {"to": "1-2-3"}, {"to": "end", "dry_run": "yes"}, {"too": "end"}],
    )
    def test_an_invalid_position_to_move_to_is_refused(self, api, made, body):
        assert api("POST", f"/{GROUP}/move", body)[0] == 400


class TestDeleting:
    def test_a_group_without_a_backlog_is_deleted_with_all_of_its_keys(self, api, redis):
        made_by_us(redis)
        redis.hset(f"syn:{{{STREAM}}}:pins", GROUP, "1 0-0")

        status, gone = api("DELETE", f"/{GROUP}")

        assert (status, gone["deleted"]) == (200, True)
        assert redis.xinfo_groups(STREAM) == []
        assert redis.keys("syn:*") == []

    def test_a_group_with_a_backlog_is_not_deleted_and_the_backlog_is_named(self, api, redis, send):
        wait(redis, send, 2)
        redis.xgroup_delconsumer(STREAM, GROUP, "reader")
        publish(redis, 3)

        status, problem = api("DELETE", f"/{GROUP}")

        assert (status, problem["type"]) == (409, "urn:synapse:problem:group-is-owed")
        assert (problem["unread"], problem["waiting"]) == (3, 2)
        assert api.group()["waiting"] == 2

    def test_a_group_with_live_consumers_is_not_deleted(self, api, redis):
        made_by_us(redis)
        # Before 7.2, Redis knows nothing of a consumer that has got nothing yet.
        redis.xgroup_createconsumer(STREAM, GROUP, "reader")
        redis.xreadgroup(GROUP, "reader", {STREAM: ">"})

        assert api("DELETE", f"/{GROUP}")[1]["type"] == "urn:synapse:problem:group-in-use"

    def test_a_forced_deletion_with_a_reason_deletes_all_keys_of_the_group(self, api, redis, send):
        made_by_us(redis)
        publish(redis, 4, customer="anna")
        send(delivery_commands.read(*PLACE, "reader", limit=10, order="key", key="customer"))
        send(delivery_commands.reclaim(*PLACE, idle_ms=0, limit=10))

        status, gone = api("DELETE", f"/{GROUP}", {"force": True, "reason": "a test"})

        assert (status, gone["waiting"], gone["parked"]) == (200, 1, 3)
        assert redis.keys("syn:*") == []
        assert records() == [
            ("delete", "group warehouse of orders", {"unread": 0}, {"forced": True, "reason": "a test"})
        ]

    @for_each("body", [{"force": True}, {"force": True, "reason": "  "}, {"force": "yes"}])
    def test_force_needs_a_reason(self, api, made, body):
        assert api("DELETE", f"/{GROUP}", body)[0] == 400

    def test_the_group_of_an_enabled_bridge_is_not_deleted_even_by_force(self, api, redis, a_bridge):
        made_by_us(redis)
        row = a_bridge()

        refused = api("DELETE", f"/{GROUP}", {"force": True, "reason": "a test"})
        Bridge.objects.filter(pk=row.pk).update(enabled=False)
        holder.forget()

        assert (refused[0], refused[1]["type"]) == (409, "urn:synapse:problem:group-owned")
        assert api("DELETE", f"/{GROUP}")[0] == 200

    def test_dead_letters_are_left_when_the_group_is_gone_and_can_be_deleted_too(self, api, redis):
        redis.xadd(DEAD, {"id": "1-1"})

        assert api("DELETE", f"/{GROUP}")[0] == 409
        assert api("DELETE", f"/{GROUP}", {"force": True, "reason": "old"})[0] == 200
        assert redis.keys("syn:*") == []


ACTIONS = [
    ("POST", "/nobody/pause", None),
    ("POST", "/nobody/resume", None),
    ("POST", "/nobody/move", {"to": "end"}),
    ("POST", "/nobody/move", {"to": "end", "dry_run": True}),
    ("DELETE", "/nobody", None),
]


@for_each("method, path, body", ACTIONS)
def test_a_group_that_is_not_there_is_404(api, redis, method, path, body):
    redis.xadd(STREAM, {"n": 1})

    assert api(method, path, body)[0] == 404
    assert records() == []


@for_each("method, path, body", [*ACTIONS, ("POST", "", {"name": "reports"})])
def test_a_stream_that_is_not_there_is_404(api, method, path, body):
    api.base = "/streams/nothing/groups"

    assert api(method, path, body)[0] == 404


@for_each("method, path, body", [*ACTIONS, ("POST", "", {"name": "reports"})])
def test_a_redis_key_of_another_type_is_409(api, redis, method, path, body):
    redis.set(STREAM, "theirs")

    assert api(method, path, body)[0] == 409
    assert redis.get(STREAM) == b"theirs"


@for_each("method, path, body", [*ACTIONS, ("POST", "", {"name": "reports"})])
def test_an_action_without_redis_is_503(api, no_redis, method, path, body):
    assert api(method, path, body)[0] == 503


def _dead(send):
    (held, *_) = send(delivery_commands.lease(*PLACE, "one", limit=1, lease_ms=60_000)).events
    return Failure(id=held.id, token=held.token, error="no", took_ms=1, delay_ms=0, fatal=True)
