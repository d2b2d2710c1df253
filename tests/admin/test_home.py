"""The first page: what goes on in every stream, and what was changed last."""

from streams.admin import home
from synapse.redis import keyspace
from tests.admin.pages import text_of
from tests.definitions import define


def test_the_first_page_has_a_card_for_every_stream(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}}, purpose="What customers buy")
    redis.xadd("orders", {"event_type": "order-placed"})

    text = text_of(admin_client.get("/admin/"))

    assert "orders What customers buy Events 1 Last event" in text


def test_refused_events_are_counted_on_the_card(admin_client, redis):
    define("orders")
    redis.hset("syn:{orders}:stats", "refused", 7)

    assert "Refused 7" in text_of(admin_client.get("/admin/"))


def test_it_is_read_in_one_pipeline_and_few_queries(admin_client, round_trips, django_assert_max_num_queries):
    for place in range(20):
        define(f"stream-{place}")

    with django_assert_max_num_queries(6):
        admin_client.get("/admin/")

    assert len(round_trips) == 1


def test_of_many_streams_those_that_were_published_to_last_have_a_card(admin_client, redis, monkeypatch):
    monkeypatch.setattr(home, "MOST", 3)
    for place in range(6):
        define(f"stream-{place}")
    redis.zadd(keyspace.PUBLISHERS, {"stream-5 shop": 3, "stream-4 shop": 2, "stream-4 other": 2.5, "gone shop": 9})

    text = text_of(admin_client.get("/admin/"))

    shown = [name for place in range(6) if (name := f"stream-{place}") in text.partition("Latest changes")[0]]
    assert shown == ["stream-0", "stream-4", "stream-5"]
    assert "3 of 6 streams, those that were published to last." in text


def test_the_latest_changes_are_there(admin_client, redis):
    define("orders", {"order-placed": {"required": ["n"]}})

    assert "activate contract orders.order-placed synapse, now" in text_of(admin_client.get("/admin/"))


def test_without_redis_the_page_says_so(admin_client, no_redis):
    define("orders")

    page = admin_client.get("/admin/")

    assert page.status_code == 200
    assert "Redis cannot be reached" in text_of(page)
    assert "orders" in text_of(page)


def test_without_streams_it_says_how_to_make_one(admin_client, redis):
    assert "No stream is defined yet. Add one" in text_of(admin_client.get("/admin/"))


def test_who_may_see_nothing_sees_nothing(client_who_may, redis):
    define("orders")

    text = text_of(client_who_may().get("/admin/"))

    assert "orders" not in text
    assert "Latest changes" not in text


def test_the_sidebar_leads_from_operating_to_defining_to_administering(admin_client, redis):
    page = admin_client.get("/admin/")

    shown = {group["title"]: [item["title"] for item in group["items"]] for group in page.context["sidebar_navigation"]}
    assert shown == {
        "Operate": [
            *("Overview", "Streams", "Bridges", "Dead letters"),
            *("Archived events", "Inference summary", "Integration status"),
        ],
        "Define": ["Event types", "Contracts", "Services", "Grants", "Secrets"],
        "Administer": ["People", "Roles", "What happened", "Audit entries"],
    }


def test_the_sidebar_marks_the_page_that_is_shown(admin_client, redis):
    stream = define("orders")

    def marked(path):
        groups = admin_client.get(path).context["sidebar_navigation"]
        return [item["title"] for group in groups for item in group["items"] if item["active"]]

    assert marked("/admin/") == ["Overview"]
    assert marked(f"/admin/streams/stream/{stream.pk}/messages/") == ["Streams"]
    assert marked("/admin/streams/service/integration/") == ["Integration status"]
    assert marked("/admin/streams/service/") == ["Services"]


def test_the_address_alone_leads_here(client):
    assert client.get("/")["location"] == "/admin/"
