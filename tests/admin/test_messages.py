"""A stream's messages and groups are shown decoded, and nothing that is in them does harm."""

import pytest

from tests.admin.pages import text_of, url
from tests.definitions import define

SCRIPT = "<script>alert(1)</script>"
RIGHT_TO_LEFT = "\u202e"
ESC = "\x1b[2J"


@pytest.fixture
def stream(db, redis):
    return define("orders", {"order-placed": {"required": ["n"]}, "order-paid": None})


def publish(client, **event):
    answer = client.post("/events/orders", {"event_type": "order-placed", **event}, content_type="application/json")
    assert answer.status_code == 201
    return answer.json()["id"]


def shown(client, stream, **query):
    return client.get(url("streams.stream", "messages", stream.pk), query, follow=True)


def test_hostile_names_and_payloads_are_text(admin_client, redis, stream):
    event = {"event_type": SCRIPT, "source": f"{RIGHT_TO_LEFT}gnp.exe", SCRIPT: f"</pre>{SCRIPT}{ESC}{RIGHT_TO_LEFT}"}
    id_ = redis.xadd("orders", event | {b"\xff": b"\xfe\x00"}).decode()
    redis.xgroup_create("orders", f"{SCRIPT}{RIGHT_TO_LEFT}", "0")
    redis.xreadgroup(f"{SCRIPT}{RIGHT_TO_LEFT}", f"{SCRIPT}{ESC}", {"orders": ">"})

    pages = [
        shown(admin_client, stream),
        admin_client.get(url("streams.stream", "message", stream.pk, id_)),
        admin_client.get(url("streams.stream", "groups", stream.pk)),
        admin_client.get(url("streams.service", "integration")),
    ]

    for page in pages:
        html = page.content.decode()
        assert page.status_code == 200
        assert SCRIPT not in html
        assert RIGHT_TO_LEFT not in html
        assert "\x1b" not in html
        assert "alert(1)" in html


def test_a_long_event_is_cut_and_whole_on_its_own_page(admin_client, stream):
    id_ = publish(admin_client, n=1, text="x" * 30_000)

    page = shown(admin_client, stream)
    whole = admin_client.get(url("streams.stream", "message", stream.pk, id_))

    assert "This is the beginning." in text_of(page)
    assert "x" * 30_000 not in page.content.decode()
    assert "x" * 30_000 in whole.content.decode()


def test_a_message_is_shown_with_its_fields_in_redis(admin_client, stream):
    id_ = publish(admin_client, n=1)

    text = text_of(admin_client.get(url("streams.stream", "message", stream.pk, id_)))

    assert "synapse_version 1" in text
    assert "Layout flat" in text


def test_a_property_named_items_is_shown_as_any_other(admin_client, redis, stream):
    id_ = redis.xadd(stream.name, {"event_type": "order-placed", "items": "three chairs"}).decode()

    assert "items three chairs" in text_of(admin_client.get(url("streams.stream", "message", stream.pk, id_)))


@pytest.mark.parametrize(("id_", "reason"), [("1-1", "holds no entry 1-1"), ("soon", "An entry id is two numbers")])
def test_the_page_of_a_missing_message_shows_the_reason(admin_client, stream, id_, reason):
    page = admin_client.get(url("streams.stream", "message", stream.pk, id_))

    assert page.status_code == 200
    assert reason in text_of(page)


def test_groups_are_shown_with_lag_pending_and_consumers(admin_client, redis, stream):
    for place in range(3):
        publish(admin_client, n=place)
    redis.xgroup_create("orders", "warehouse", "0")
    redis.xreadgroup("warehouse", "hall-2", {"orders": ">"}, count=1)

    text = text_of(admin_client.get(url("streams.stream", "groups", stream.pk)))

    assert "warehouse Manage Dead letters healthy external 2" in text
    assert "hall-2 1 pending, asked" in text


def test_the_page_of_a_stream_without_groups_reports_that_there_are_none(admin_client, stream):
    assert "No group reads this stream." in text_of(admin_client.get(url("streams.stream", "groups", stream.pk)))


def test_a_person_who_may_not_view_streams_sees_no_messages_or_groups(client_who_may, stream):
    client = client_who_may("contracts.view_contract")

    for page in ("messages", "groups"):
        assert client.get(url("streams.stream", page, stream.pk)).status_code == 403
    assert client.get(url("streams.stream", "message", stream.pk, "1-1")).status_code == 403


def test_an_anonymous_visitor_is_asked_to_log_in(client, stream):
    page = client.get(url("streams.stream", "messages", stream.pk))

    assert (page.status_code, page.url.partition("?")[0]) == (302, "/admin/login/")
