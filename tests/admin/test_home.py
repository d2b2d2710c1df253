"""The first page: the traffic of every stream and the latest changes."""

import re
import time
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.template.base import Variable, VariableDoesNotExist
from django.test.utils import override_script_prefix

from streams import connections
from streams.admin import home
from synapse.redis import keyspace
from synapse.statistics.sampler import Sampler
from tests.admin.pages import text_of, url
from tests.definitions import define


@pytest.fixture
def sample(redis) -> Callable[[str], None]:
    """Take a sample of a stream, five seconds after the last one; the first was taken half a minute ago."""
    clock, streams = [time.time() - 30], set()
    sampler = Sampler(connections.executor, lambda: streams, clock=lambda: clock[0])

    def taken(stream: str) -> None:
        streams.add(stream)
        assert sampler.step()
        clock[0] += 5

    return taken


def test_the_first_page_has_a_row_for_every_stream(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}}, purpose="What customers buy")
    redis.xadd("orders", {"event_type": "order-placed"})

    page = admin_client.get("/admin/")

    (row,) = page.context["parts"][0]["values"]["rows"]
    assert (row.stream.name, row.overview.figures.length, row.worst) == ("orders", 1, None)
    # Nothing was sampled yet.
    assert "orders — —" in text_of(page)


def test_the_address_of_a_row_begins_with_the_prefix_of_its_request(admin_client, redis):
    stream = define("orders")
    path = f"/admin/streams/stream/{stream.pk}/statistics/"

    for prefix in ("", "/synapse", ""):
        with override_script_prefix(f"{prefix}/"):
            page = admin_client.get("/admin/")
        assert page.context["parts"][0]["values"]["rows"][0].url == prefix + path


def test_refused_events_are_counted_in_the_row(admin_client, redis):
    define("orders")
    redis.hset("syn:{orders}:stats", "refused", 7)

    page = admin_client.get("/admin/")

    assert page.context["parts"][0]["values"]["rows"][0].overview.figures.counters["refused"] == 7


def test_a_failing_group_needs_attention_and_links_to_its_actions(admin_client, redis, sample):
    stream = define("orders")
    redis.xgroup_create("orders", "shop", "$", mkstream=True)
    # The first round finds the group, the second one is the first of its figures.
    sample("orders")
    sample("orders")
    redis.hincrby(keyspace.counters("orders", "shop"), "retried", 3)
    sample("orders")

    page = admin_client.get("/admin/")

    text = text_of(page)
    assert "failing orders / shop 3 attempts failed in the last two minutes" in text
    assert f"/admin/bridges/bridge/groups/{stream.pk}/shop/" in page.content.decode()
    assert "orders failing" in text


def test_a_stream_that_refuses_all_events_and_has_dead_letters_is_failing(admin_client, redis, sample):
    define("orders")
    redis.xgroup_create("orders", "shop", "$", mkstream=True)
    redis.xadd(keyspace.dead_letters("orders", "shop"), {"id": "1-0"})
    sample("orders")
    redis.hincrby(keyspace.stats("orders"), "refused:contract-violated", 3)
    sample("orders")

    text = text_of(admin_client.get("/admin/"))
    assert "orders failing refusing" in text
    assert "dead orders / shop has 1 dead letter for" in text


def test_a_stream_without_findings_is_healthy(admin_client, redis, sample):
    define("orders")
    sample("orders")
    sample("orders")

    assert "healthy Nothing fails, lags, is full, refused or lost." in text_of(admin_client.get("/admin/"))


def test_the_home_page_of_twenty_streams_takes_few_pipelines_and_queries(
    admin_client, round_trips, django_assert_max_num_queries
):
    for place in range(20):
        define(f"stream-{place}")

    # The first one loads the catalog.
    admin_client.get("/admin/")
    del round_trips[:]
    # Four of them are asked for as long as the first steps are shown.
    with django_assert_max_num_queries(12):
        admin_client.get("/admin/")

    # The figures of now, of the last minutes and of the last hour in one; the alerts and their number in the sidebar.
    assert len(round_trips) <= 4


def test_a_stream_that_refuses_all_events_is_the_first_of_many(admin_client, redis, monkeypatch, sample):
    monkeypatch.setattr(home, "MOST", 2)
    for place in range(4):
        define(f"stream-{place}")
        sample(f"stream-{place}")
    redis.zadd(keyspace.PUBLISHERS, {"stream-0 shop": 1, "stream-1 shop": 2})
    redis.hset(keyspace.stats("stream-3"), "refused:contract-violated", 3)
    sample("stream-3")

    page = admin_client.get("/admin/")

    rows = page.context["parts"][0]["values"]["rows"]
    assert [(row.stream.name, row.health) for row in rows] == [("stream-3", "failing"), ("stream-1", "healthy")]
    assert "refusing stream-3 refused 3 events in the last two minutes: contract-violated" in text_of(page)


def test_the_streams_that_were_published_to_last_have_a_row_among_many(admin_client, redis, monkeypatch):
    monkeypatch.setattr(home, "MOST", 3)
    for place in range(6):
        define(f"stream-{place}")
    redis.zadd(keyspace.PUBLISHERS, {"stream-5 shop": 3, "stream-4 shop": 2, "stream-4 other": 2.5, "gone shop": 9})

    text = text_of(admin_client.get("/admin/"))

    shown = [name for place in range(6) if (name := f"stream-{place}") in text.partition("Latest changes")[0]]
    assert shown == ["stream-0", "stream-4", "stream-5"]
    assert "3 of 6 streams, those in trouble, and those that were published to last." in text


def test_the_first_page_shows_the_latest_changes(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}})

    assert "activate contract orders.order-placed synapse, now" in text_of(admin_client.get("/admin/"))


def test_the_first_page_without_redis_reports_that_and_lists_the_streams(admin_client, no_redis):
    define("orders")

    page = admin_client.get("/admin/")

    assert page.status_code == 200
    assert "Redis cannot be reached" in text_of(page)
    assert "orders" in text_of(page)


def test_the_first_page_without_streams_offers_to_add_one(admin_client, redis):
    assert "No stream is defined yet. Add one" in text_of(admin_client.get("/admin/"))


def test_parts_with_nothing_to_show_are_hidden_elements_of_the_page(admin_client, redis, no_redis):
    """Each part is on the page from the beginning, and is replaced by what has its id."""
    empty = admin_client.get("/admin/parts/").content.decode()
    define("orders")
    without_redis = admin_client.get("/admin/").content.decode()

    for page, hidden in ((empty, ["figures", "bridges"]), (without_redis, ["first-steps", "figures", "bridges"])):
        tags = dict(re.findall(r'<section [^>]*id="([a-z-]+)-part"([^>]*)>', page))
        assert tags.keys() == {"first-steps", "attention", "figures", "streams", "bridges", "latest-changes"}
        assert [name for name, rest in tags.items() if " hidden" in rest] == hidden


def test_the_first_page_without_streams_reports_no_missing_samples(admin_client, redis):
    assert "Needs attention Nothing: no stream is defined yet." in text_of(admin_client.get("/admin/"))


def test_a_stream_without_samples_is_not_shown_as_healthy(admin_client, redis):
    define("orders")

    text = text_of(admin_client.get("/admin/"))

    assert "No sample was taken in the last two minutes." in text
    assert "Nothing fails" not in text


def test_a_person_without_permissions_sees_no_streams_or_changes(client_who_may, redis):
    define("orders")

    text = text_of(client_who_may().get("/admin/"))

    assert "orders" not in text
    assert "Latest changes" not in text


def test_the_sidebar_is_ordered_from_operating_to_defining_to_administering(admin_client, redis):
    page = admin_client.get("/admin/")

    shown = {group["title"]: [item["title"] for item in group["items"]] for group in page.context["sidebar_navigation"]}
    assert shown == {
        "Operate": [
            *("Overview", "Alerts", "Streams", "Explorer", "Bridges", "Dead letters"),
            *("Archived events", "Summaries", "Integration status"),
        ],
        "Define": ["Event types", "Contracts", "Services", "Grants", "Secrets"],
        "Administer": ["Users", "Roles", "Audit log", "Audit entries"],
    }


def test_the_sidebar_shows_no_number_where_nothing_fires(admin_client, redis):
    assert "notifications Alerts waves Streams" in text_of(admin_client.get("/admin/"))


def test_the_sidebar_has_each_key_that_its_templates_read(admin_client, redis, monkeypatch):
    """A search for a missing key takes longer than all else of drawing a line."""
    missing, find = [], Variable._resolve_lookup

    def found(self, context):
        try:
            return find(self, context)
        except VariableDoesNotExist:
            missing.append(self.var)
            raise

    monkeypatch.setattr(Variable, "_resolve_lookup", found)

    admin_client.get(url("streams.stream"))

    assert {name for name in missing if name.startswith(("group.", "item."))} == set()


def test_the_sidebar_marks_the_page_that_is_shown(admin_client, redis):
    stream = define("orders")

    def marked(path):
        groups = admin_client.get(path).context["sidebar_navigation"]
        return [item["title"] for group in groups for item in group["items"] if item["active"]]

    assert marked("/admin/") == ["Overview"]
    assert marked(f"/admin/streams/stream/{stream.pk}/groups/") == ["Streams"]
    assert marked("/admin/streams/stream/explorer/") == ["Explorer"]
    assert marked("/admin/streams/service/integration/") == ["Integration status"]
    assert marked("/admin/streams/service/") == ["Services"]


@pytest.mark.parametrize(
    ("page", "heading"),
    [
        ("bridges/bridge/dead-letters/", "Dead letters"),
        ("streams/service/integration/", "Integration status"),
        ("streams/stream/add/", "Add stream"),
        ("streams/stream/", "Streams"),
        ("streams/stream/?q=ord", "Streams 1 found, show all"),
        ("streams/stream/1/change/", "Streams chevron_right orders"),
    ],
)
def test_the_heading_of_each_page_names_its_object(admin_client, redis, page, heading):
    define("orders", pk=1)

    (shown,) = re.findall(r"<h1.*?</h1>", admin_client.get(f"/admin/{page}").content.decode(), re.DOTALL)

    assert " ".join(re.sub(r"<[^>]*>", " ", shown).split()) == heading


def test_the_search_finds_definitions_that_the_person_may_view(client_who_may, redis):
    define("orders", {"order-placed": None})

    found = text_of(client_who_may("streams.view_stream").get("/admin/search/?extended=1&s=order"))

    assert "orders • Streams - Stream" in found
    assert "order-placed" not in found


def test_the_first_page_tells_a_person_without_permissions_that_they_have_none(client_who_may, redis):
    assert "You have no permission yet." in text_of(client_who_may().get("/admin/"))


def test_the_root_address_redirects_to_the_admin(client):
    assert client.get("/")["location"] == "/admin/"


def test_the_search_finds_no_stream_after_the_permission_was_taken_away(client_who_may, redis):
    define("orders")
    client = client_who_may("streams.view_stream")
    assert "orders" in text_of(client.get("/admin/search/?extended=1&s=order"))

    User.objects.get(username="someone").user_permissions.clear()

    assert "orders" not in text_of(client.get("/admin/search/?extended=1&s=order"))
