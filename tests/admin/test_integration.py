"""The integration status says of each service what was seen of it, and no more."""

import time

import pytest

from bridges.models import Bridge
from streams.models import Grant, Service, Stream
from tests.admin.pages import text_of, url
from tests.definitions import define

HOUR = 3_600_000


@pytest.fixture
def services(db):
    """The guide's analytics service, a publisher, and one that does nothing."""
    define("inference-events")
    grants = {
        "platform-analytics-service": ("subscribe", "inference-events"),
        "cyrex": ("publish", "inference-events"),
        "idle": ("publish", "*"),
    }
    for name, (action, stream) in grants.items():
        Grant.objects.create(service=Service.objects.create(name=name), action=action, stream=stream)


def now():
    return int(time.time() * 1000)


def publish(redis, source, age=0):
    redis.xadd("inference-events", {"event_type": "x", **({"source": source} if source else {})}, id=f"{now() - age}-*")


def status(client):
    return client.get(url("streams.service", "integration"))


def states(page):
    return {row.service.name: (row.publishing, row.consuming) for row in page.context["rows"]}


def test_who_was_seen_lately_is_active_and_who_was_not_is_silent(admin_client, redis, services):
    publish(redis, "cyrex", age=2 * HOUR)
    assert states(status(admin_client))["cyrex"] == ("silent", None)

    publish(redis, "cyrex")
    assert states(status(admin_client))["cyrex"] == ("active", None)


def test_who_was_never_seen_is_said_to_be(admin_client, redis, services):
    found = states(status(admin_client))

    assert found == {
        "platform-analytics-service": (None, "never seen"),
        "cyrex": ("never seen", None),
        "idle": ("never seen", None),
    }


@pytest.mark.parametrize("group", ["platform-analytics-service", "analytics-service"])
def test_a_group_belongs_to_the_service_of_its_name_or_of_its_known_other_name(admin_client, redis, services, group):
    for _ in range(3):
        publish(redis, "cyrex")
    redis.xgroup_create("inference-events", group, "0")
    redis.xreadgroup(group, "analytics-1", {"inference-events": ">"}, count=1)

    page = status(admin_client)

    row = next(row for row in page.context["rows"] if row.consumed)
    assert row.service.name == "platform-analytics-service"
    assert (row.consuming, row.consumed[0].lag.events) == ("active", 2)
    assert row.consumed[0].read_up_to_ms is not None


def test_a_group_without_consumers_is_silent(admin_client, redis, services):
    publish(redis, "cyrex", age=2 * HOUR)
    redis.xgroup_create("inference-events", "analytics-service", "$")

    assert states(status(admin_client))["platform-analytics-service"] == (None, "silent")


def test_strangers_are_listed_apart(admin_client, redis, services):
    publish(redis, "somebody")
    publish(redis, "")
    redis.xgroup_create("inference-events", "unheard-of", "0")

    text = text_of(status(admin_client)).partition("Seen, but no service of that name")[2]

    assert "(no source) source of 1 event inference-events" in text
    assert "somebody source of 1 event inference-events" in text
    assert "unheard-of group, 2 not read inference-events" in text


def test_the_group_of_a_bridge_is_no_stranger(admin_client, redis, services):
    Bridge.objects.create(name="b", stream=Stream.objects.get(), group="of-a-bridge", sink="console")
    redis.xgroup_create("inference-events", "of-a-bridge", "0", mkstream=True)

    assert "of-a-bridge" not in text_of(status(admin_client))


def test_the_archive_of_the_catalog_counts_for_the_service_it_is_for(admin_client, redis, services):
    publish(redis, "cyrex")
    redis.xgroup_create("inference-events", "synapse-archive", "0")
    redis.xreadgroup("synapse-archive", "me", {"inference-events": ">"})

    assert states(status(admin_client))["platform-analytics-service"] == (None, "active")


def test_only_the_newest_entries_are_looked_at(admin_client, redis, services):
    publish(redis, "cyrex", age=HOUR)
    pipeline = redis.pipeline()
    for _ in range(1000):
        pipeline.xadd("inference-events", {"event_type": "x", "source": "other"})
    pipeline.execute()

    assert states(status(admin_client))["cyrex"] == ("never seen", None)


def test_the_page_says_how_it_knows(admin_client, redis, services):
    text = text_of(status(admin_client))

    assert "among the newest 1 000 of each stream" in text
    assert "leaves no trace" in text


def test_without_redis_nothing_is_said_about_anybody(admin_client, no_redis, services):
    page = status(admin_client)

    assert page.status_code == 200
    assert "Nothing can be said about who takes part." in text_of(page)


def test_streams_are_looked_at_together(admin_client, round_trips, services):
    for place in range(20):
        define(f"stream-{place}")

    status(admin_client)

    assert len(round_trips) <= 3


def test_who_may_not_see_services_sees_no_status(client_who_may, redis, services):
    assert status(client_who_may("streams.view_stream")).status_code == 403


def test_the_list_of_services_shows_their_grants(admin_client, services, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        text = text_of(admin_client.get(url("streams.service")))

    assert "cyrex inference-events —" in text
