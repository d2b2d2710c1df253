"""The integration status shows the last activity seen of each service."""

import time

import pytest

from bridges.models import Bridge
from streams import background_tasks
from streams.admin import services as services_admin
from streams.models import Grant, Service, Stream
from synapse.inspection import integration_status
from synapse.redis import keyspace
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


def test_a_service_seen_lately_is_active_and_one_seen_long_ago_is_silent(admin_client, redis, services):
    publish(redis, "cyrex", age=2 * HOUR)
    assert states(status(admin_client))["cyrex"] == ("silent", None)

    publish(redis, "cyrex")
    assert states(status(admin_client))["cyrex"] == ("active", None)


def test_a_service_never_seen_is_shown_as_never_seen(admin_client, redis, services):
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


def test_unknown_publishers_are_listed_apart(admin_client, redis, services):
    publish(redis, "somebody")
    publish(redis, "")
    redis.xgroup_create("inference-events", "unheard-of", "0")

    text = text_of(status(admin_client)).partition("Seen, but no service of that name")[2]

    assert "(no source) source of events inference-events" in text
    assert "somebody source of events inference-events" in text
    assert "unheard-of group, 2 not read inference-events" in text


def test_the_group_of_a_bridge_is_not_listed_as_unknown(admin_client, redis, services):
    Bridge.objects.create(name="b", stream=Stream.objects.get(), group="of-a-bridge", sink="console")
    redis.xgroup_create("inference-events", "of-a-bridge", "0", mkstream=True)

    assert "of-a-bridge" not in text_of(status(admin_client))


def test_the_archive_of_the_catalog_counts_for_the_service_it_is_for(admin_client, redis, services):
    publish(redis, "cyrex")
    redis.xgroup_create("inference-events", "synapse-archive", "0")
    redis.xreadgroup("synapse-archive", "me", {"inference-events": ">"})

    assert states(status(admin_client))["platform-analytics-service"] == (None, "active")


def test_only_the_newest_entries_of_other_programs_are_read(admin_client, redis, services):
    publish(redis, "cyrex", age=HOUR)
    pipeline = redis.pipeline()
    for _ in range(integration_status.LOOKED_AT):
        pipeline.xadd("inference-events", {"event_type": "x", "source": "other"})
    pipeline.execute()

    assert states(status(admin_client))["cyrex"] == ("never seen", None)


def test_a_publisher_through_synapse_is_noted_however_many_others_write(admin_client, client, redis, services):
    event = {"event_type": "x", "source": "cyrex"}
    assert client.post("/events/inference-events", event, content_type="application/json").status_code == 201
    background_tasks.flush_counters()
    for _ in range(integration_status.LOOKED_AT + 1):
        publish(redis, "other")

    assert states(status(admin_client))["cyrex"] == ("active", None)


def test_a_publisher_that_was_noted_stays_known_when_its_events_are_gone(admin_client, client, redis, services):
    events = [{"event_type": "x", "source": name} for name in ("cyrex", "idle", "")]
    assert client.post("/events/inference-events", events, content_type="application/json").status_code == 200
    background_tasks.flush_counters()
    redis.xtrim("inference-events", 0)

    found = states(status(admin_client))

    assert (found["cyrex"][0], found["idle"][0]) == ("active", "active")


def test_a_refused_event_adds_no_publisher(admin_client, client, redis, services):
    Stream.objects.update(unknown_event_types="reject")
    event = {"event_type": "x", "source": "cyrex"}
    assert client.post("/events/inference-events", event, content_type="application/json").status_code == 422
    background_tasks.flush_counters()

    assert states(status(admin_client))["cyrex"] == ("never seen", None)


def test_a_service_stays_active_after_its_events_were_trimmed(admin_client, redis, services):
    publish(redis, "cyrex")
    status(admin_client)
    background_tasks.flush_counters()
    redis.xtrim("inference-events", 0)

    assert states(status(admin_client))["cyrex"] == ("active", None)


def test_each_view_of_the_page_reads_some_of_many_streams(admin_client, redis, services, monkeypatch):
    monkeypatch.setattr(integration_status, "STREAMS_LOOKED_AT", 1)
    Service.objects.create(name="late")
    publish(redis, "cyrex")
    define("other-events")
    redis.xadd("other-events", {"event_type": "x", "source": "late"}, id=f"{now() + HOUR}-0")

    first = states(status(admin_client))
    background_tasks.flush_counters()
    second = states(status(admin_client))

    assert (first["late"][0], first["cyrex"][0]) == ("active", "never seen")
    assert (second["late"][0], second["cyrex"][0]) == ("active", "active")


def test_a_service_on_many_streams_shows_those_where_it_was_seen_last(admin_client, redis, services):
    for number in range(services_admin.MOST_STREAMS + 2):
        define(f"stream-{number}")
        redis.xadd(f"stream-{number}", {"event_type": "x", "source": "cyrex"}, id=f"{now() - number * 1000}-0")
        redis.xgroup_create(f"stream-{number}", "cyrex", "0")

    page = status(admin_client)

    row = next(row for row in page.context["rows"] if row.service.name == "cyrex")
    assert [each.stream for each in row.published] == [f"stream-{n}" for n in range(services_admin.MOST_STREAMS)]
    assert (len(row.consumed), row.more_published, row.more_consumed) == (services_admin.MOST_STREAMS, 2, 2)
    assert "and 2 more streams" in text_of(page)


def test_services_are_listed_page_by_page(admin_client, redis, services, monkeypatch):
    monkeypatch.setattr(services_admin, "PAGE_SIZE", 2)

    first = status(admin_client)
    second = admin_client.get(url("streams.service", "integration"), {"page": 2})

    assert list(states(first)) == ["cyrex", "idle"]
    assert list(states(second)) == ["platform-analytics-service"]


def test_a_source_that_is_pii_is_noted_masked(admin_client, client, redis, services):
    property_ = {"type": "string", "x-pii": True}
    define("orders", {"order-placed": {"properties": {"source": property_, "email": property_}}})
    for event in ({"source": "zeb@example.org"}, {"source": "of zob@example.org", "email": "zob@example.org"}):
        event["event_type"] = "order-placed"
        assert client.post("/events/orders", event, content_type="application/json").status_code == 201
    background_tasks.flush_counters()

    noted = redis.zrange(keyspace.PUBLISHERS, 0, -1)

    assert len(noted) >= 1
    assert not any(b"example.org" in name for name in noted)
    assert "example.org" not in text_of(status(admin_client))


def test_a_source_that_was_noted_before_it_was_marked_is_hidden(admin_client, client, redis, services):
    define("orders", {"order-placed": {"properties": {"email": {"type": "string", "x-pii": True}}}})
    redis.zadd(keyspace.PUBLISHERS, {"orders zeb@example.org": now(), "orders cyrex": now()})

    page = status(admin_client)

    assert "example.org" not in text_of(page)
    assert states(page)["cyrex"] == ("active", None)


def test_a_foreign_value_in_the_key_of_publishers_does_not_hide_services(admin_client, redis, services):
    redis.set(keyspace.PUBLISHERS, "not ours")
    publish(redis, "cyrex")
    background_tasks.flush_counters()

    assert states(status(admin_client))["cyrex"] == ("active", None)


def test_the_page_explains_where_its_information_comes_from(admin_client, redis, services):
    text = text_of(status(admin_client))

    assert "the newest 100 of a stream are looked at, in 50 streams each time" in text
    assert "leave no trace" in text


def test_the_page_without_redis_shows_no_state_of_a_service(admin_client, no_redis, services):
    page = status(admin_client)

    assert page.status_code == 200
    assert "Nothing can be said about who takes part." in text_of(page)
    assert "never seen" not in text_of(page).partition("How this is known")[0]
    assert "No service is defined" not in text_of(page)


def test_twenty_streams_are_read_in_three_round_trips(admin_client, round_trips, services):
    for place in range(20):
        define(f"stream-{place}")

    status(admin_client)

    assert len(round_trips) <= 3


def test_a_person_who_may_not_view_services_cannot_see_the_integration_status(client_who_may, redis, services):
    assert status(client_who_may("streams.view_stream")).status_code == 403


def test_the_list_of_services_shows_their_grants(admin_client, services, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        text = text_of(admin_client.get(url("streams.service")))

    assert "cyrex inference-events —" in text
