"""Groups opened by reads are shared, and those without readers expire."""

from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from bridges.groups import expiry
from bridges.models import Bridge, OpenedGroup
from bridges.pull import groups as pulled_groups
from core.models import AuditEntry
from streams.connections import shares_of
from streams.models import Service, Stream
from synapse.shares.resources import Percents
from synapse_project.catalog import load
from tests.access.conftest import bearer
from tests.pull.cast import GROUP, STREAM

# The event loop's threads see what is committed, and nothing else.
pytestmark = pytest.mark.django_db(transaction=True)
NAME = f"{STREAM}:{GROUP}"


def later(days=31):
    return datetime.now(UTC) + timedelta(days=days)


@pytest.fixture(autouse=True)
def nothing_noted():
    pulled_groups._last_reads.clear()
    yield
    pulled_groups._last_reads.clear()


@pytest.fixture
def worker(puller):
    """A consumer that opened the group, read an event and acknowledged it; another event is unread."""
    worker = puller()
    worker.read()
    worker.publish(1)
    worker.ack(*worker.ids())
    worker.publish(2)
    return worker


def groups(redis):
    return [group["name"].decode() for group in redis.xinfo_groups(STREAM)]


class TestShares:
    @pytest.fixture
    def open_as(self, ask, puller, settings, key_of):
        """Let a service read as a group, of which it may open two."""
        settings.AUTH, settings.PULL_GROUPS = "required", 8
        settings.SHARES = {"pull-groups": Percents(caller=25, anonymous=5)}
        keys = {name: bearer(key_of(name, subscribes=[STREAM])) for name in ("eager", "calm")}

        def read(service, group):
            asked = {"consumer_group": group, "consumer_name": "x", "block_ms": 0}
            worker = puller()
            worker.ask = lambda method, path, body: ask(method, path, body, headers=keys[service])
            return worker.post("read", **asked)

        return read

    def test_a_service_that_opened_its_share_of_groups_is_refused_and_another_one_opens_one(self, open_as):
        assert [open_as("eager", name).status for name in ("one", "two")] == [200, 200]

        refused, other = open_as("eager", "three"), open_as("calm", "three")

        assert (refused.status, refused.headers["retry-after"]) == (429, "60")
        assert (refused.json["type"].rpartition(":")[2], refused.json["resource"]) == ("share-used-up", "pull-groups")
        assert other.status == 200
        assert shares_of("pull-groups").refused == 1

    def test_a_service_with_its_share_goes_on_reading_as_its_groups(self, open_as):
        for name in ("one", "two", "three"):
            open_as("eager", name)

        assert open_as("eager", "one").status == 200

    def test_a_group_that_expired_makes_room_for_another_one(self, open_as):
        for name in ("one", "two"):
            open_as("eager", name)

        expiry.delete_expired_groups(later())

        assert open_as("eager", "three").status == 200

    def test_an_address_opens_half_of_all_where_access_is_open(self, puller, settings):
        settings.PULL_GROUPS = 4
        statuses = [
            puller().post("read", consumer_group=name, consumer_name="x", block_ms=0).status
            for name in ("one", "two", "three")
        ]

        assert statuses == [200, 200, 429]


def test_a_group_unread_for_long_expires_with_its_bridge(worker, redis):
    expired = expiry.delete_expired_groups(later())

    assert expired == [NAME]
    assert not Bridge.objects.exists()
    assert groups(redis) == []
    entry = AuditEntry.objects.get(action="expire")
    assert (entry.actor, entry.target, entry.before["group"]) == ("synapse", f"bridge {NAME}", GROUP)
    assert shares_of("pull-groups").reclaimed == 1


def test_reading_as_an_expired_group_begins_with_the_oldest_event(worker):
    expiry.delete_expired_groups(later())

    assert [event["event"]["n"] for event in worker.read()] == [1, 2]


def test_a_group_that_was_read_lately_stays(worker, redis):
    assert expiry.delete_expired_groups(later(days=29)) == []
    assert groups(redis) == [GROUP]


def test_a_read_counts_when_it_is_written(worker):
    OpenedGroup.objects.update(read_at=timezone.now() - timedelta(days=40))
    worker.read()

    pulled_groups.flush_reads()

    assert expiry.delete_expired_groups(datetime.now(UTC)) == []
    assert timezone.now() - OpenedGroup.objects.get().read_at < timedelta(minutes=5)


def test_a_group_that_others_wrote_of_lately_is_not_written_again(worker):
    before = OpenedGroup.objects.get().read_at
    worker.read()

    pulled_groups.flush_reads()

    assert OpenedGroup.objects.get().read_at == before


def test_a_group_with_an_event_in_flight_stays(worker):
    assert len(worker.ids()) == 1

    assert expiry.delete_expired_groups(later()) == []


def test_a_group_with_an_event_that_comes_again_later_stays(worker):
    worker.tell("nack", *worker.ids(), delay_ms=600_000)

    assert expiry.delete_expired_groups(later()) == []


def test_a_group_with_a_dead_letter_stays(worker):
    worker.tell("nack", *worker.ids(), dead=True)

    assert expiry.delete_expired_groups(later()) == []


def test_a_group_changed_by_a_person_stays(worker):
    as_opened = Bridge.objects.values("paused", "enabled", "max_attempts", "lease_seconds").get()

    for change in ({"paused": True}, {"enabled": False}, {"max_attempts": 3}, {"lease_seconds": 60}):
        Bridge.objects.update(**as_opened | change)
        assert expiry.delete_expired_groups(later()) == [], change
    Bridge.objects.update(**as_opened)
    assert expiry.delete_expired_groups(later()) == [NAME]


def test_a_group_that_was_defined_stays(group, puller):
    group()
    puller().read()

    assert expiry.delete_expired_groups(later()) == []
    assert Bridge.objects.count() == 1


def test_a_group_that_a_catalog_file_names_stays(worker, tmp_path):
    file = tmp_path / "catalog.yaml"
    line = f'{{name: "{NAME}", stream: {STREAM}, group: {GROUP}, sink: pull, lease_seconds: 300}}'
    file.write_text(f"streams:\n  - {{name: {STREAM}}}\nbridges:\n  - {line}\n")

    load(str(file)).apply()

    assert not OpenedGroup.objects.exists()
    assert expiry.delete_expired_groups(later()) == []
    assert Bridge.objects.count() == 1


def test_a_group_that_is_gone_from_redis_expires_too(worker, redis):
    redis.flushall()

    assert expiry.delete_expired_groups(later()) == [NAME]


def test_the_migration_notes_groups_that_reads_have_opened():
    stream = Stream.objects.create(name=STREAM)
    for name, group_name, values in (
        (f"{STREAM}:a", "a", {"sink": "pull", "opened_by": "billing"}),
        (f"{STREAM}:b", "b", {"sink": "pull"}),
        ("defined", "c", {"sink": "pull"}),
        (f"{STREAM}:d", "d", {"sink": "console"}),
    ):
        Bridge.objects.create(name=name, stream=stream, group=group_name, **values)

    import_module("bridges.migrations.0005_opened_group").note_groups_that_are_there(apps, None)

    found = OpenedGroup.objects.values_list("bridge__group", "caller_kind", "caller_name").order_by("bridge__group")
    assert list(found) == [("a", "service", "billing"), ("b", "address", "nowhere")]


def test_a_service_that_is_renamed_keeps_its_groups_and_goes_on_where_they_were(
    redis, ask, puller, settings, key_of, admin_client
):
    settings.AUTH = "required"
    keys = {name: bearer(key_of(name, subscribes=[STREAM])) for name in ("shop", "billing")}

    def read(service):
        worker = puller()
        worker.ask = lambda method, path, body: ask(method, path, body, headers=keys[service])
        return worker.post("read", consumer_group=GROUP, consumer_name="x", block_ms=0)

    ids = [redis.xadd(STREAM, {"event_type": "order-placed", "n": 1}).decode()]
    assert [event["entry_id"] for event in read("shop").json["events"]] == ids
    ids.append(redis.xadd(STREAM, {"event_type": "order-placed", "n": 2}).decode())

    shop = Service.objects.get(name="shop")
    form = {"name": "store", "grants-TOTAL_FORMS": "0", "grants-INITIAL_FORMS": "0"}
    assert admin_client.post(f"/admin/streams/service/{shop.pk}/change/", form).status_code == 302

    assert [event["entry_id"] for event in read("shop").json["events"]] == ids[1:]
    assert read("billing").status == 403
    assert (Bridge.objects.get(group=GROUP).opened_by, OpenedGroup.objects.get().caller_name) == ("store", "store")
