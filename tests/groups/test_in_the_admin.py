"""Groups in the admin: viewed, created, paused, moved, deleted, by people with the permission."""

import pytest
from django.test import Client

from bridges.models import Bridge
from core.models import AuditEntry
from streams.snapshot import holder
from tests.admin.conftest import client_who_may
from tests.admin.pages import messages_of, text_of, url
from tests.bridges.cast import COUNTERS, GROUP, STREAM, made_by_us, publish, wait
from tests.tables import for_each

__all__ = ["client_who_may"]

BRIDGE = "bridges.bridge"
ACTS = ("pause", "resume", "move", "delete")

pytestmark = pytest.mark.django_db


@pytest.fixture
def at(orders):
    """The address of a page of the group: `at("move")`."""
    return lambda page="", group=GROUP: url(BRIDGE, f"group_{page}" if page else "group", orders.pk, group)


@pytest.fixture
def listed(admin_client, orders):
    return lambda: admin_client.get(url("streams.stream", "groups", orders.pk))


@pytest.fixture
def shop(orders):
    row = Bridge.objects.create(name="shop", stream=orders, group=GROUP, sink="console")
    holder.forget()
    return row


def actions():
    return [(row.actor, row.action) for row in AuditEntry.objects.order_by("id")]


class TestTheList:
    def test_the_list_shows_the_owner_and_the_backlog_of_a_group(self, listed, redis, send, shop, at):
        wait(redis, send, 3)
        redis.hset(COUNTERS, mapping={"parked": 4, "lost_trimmed": 12, "skipped": 5})

        answer = listed()

        text = text_of(answer)
        assert "12 lost" in text
        assert "5 skipped" in text
        assert "shop 0 0 3 4 0" in text
        assert 's-bad" title="Events that were trimmed before' in answer.content.decode()
        assert at() in answer.content.decode()

    def test_a_group_of_another_program_is_external(self, listed, redis):
        made_by_us(redis)

        assert "external" in text_of(listed())


class TestMaking:
    def test_a_group_is_created_at_the_requested_position(self, admin_client, redis, orders):
        ids = publish(redis, 3)

        answer = admin_client.post(url(BRIDGE, "group_new", orders.pk), {"name": "reports", "at": "end"}, follow=True)

        assert messages_of(answer) == ["The group “reports” was created."]
        assert actions() == [("person:admin", "create")]
        (group,) = redis.xinfo_groups(STREAM)
        assert (group["name"], group["last-delivered-id"].decode()) == (b"reports", ids[-1])

    def test_an_invalid_start_of_a_group_is_reported_on_the_form(self, admin_client, orders):
        answer = admin_client.post(url(BRIDGE, "group_new", orders.pk), {"name": "reports", "at": "<soon>"})

        assert "“<soon>” is not a start position" in text_of(answer)
        assert b"<soon>" not in answer.content


class TestActing:
    def test_the_group_of_a_bridge_is_paused_and_resumed(self, admin_client, redis, shop, at):
        made_by_us(redis)

        assert "Pause “warehouse”?" in text_of(admin_client.get(at("pause")))
        admin_client.post(at("pause"))
        shop.refresh_from_db()
        holder.forget()

        assert shop.paused
        assert "State paused" in text_of(admin_client.get(at()))
        admin_client.post(at("resume"))
        shop.refresh_from_db()
        assert not shop.paused
        assert actions() == [("person:admin", "pause"), ("person:admin", "resume")]

    def test_the_page_of_a_move_counts_the_events_that_it_would_skip(self, admin_client, redis, at):
        made_by_us(redis)
        publish(redis, 5)

        asked = text_of(admin_client.get(at("move"), {"to": "end"}))
        moved = admin_client.post(at("move"), {"to": "end"}, follow=True)

        assert "5 unread events will not be delivered." in asked
        assert messages_of(moved) == ["“warehouse” was moved: 5 events skipped, 0 unread again."]
        assert "Skipped by moves 5" in text_of(moved)

    def test_moving_is_not_offered_while_its_bridge_delivers(self, admin_client, redis, shop, at):
        made_by_us(redis)

        page = admin_client.get(at("move"), {"to": "end"})
        refused = admin_client.post(at("move"), {"to": "end"})

        assert "pause it first" in text_of(page)
        assert "pause it first" in text_of(refused)
        assert b'method="post"' not in page.content.split(b's-page"', 1)[1].split(b'method="get"')[0]

    def test_deleting_a_group_names_its_backlog_and_requires_a_reason(self, admin_client, redis, at):
        made_by_us(redis)
        publish(redis, 5)

        assert "Its backlog of 5 events" in text_of(admin_client.get(at("delete")))
        refused = admin_client.post(at("delete"))
        done = admin_client.post(at("delete"), {"force": "on", "reason": "retired"}, follow=True)

        assert "5 unread" in text_of(refused)
        assert messages_of(done) == ["The group “warehouse” was deleted."]
        assert redis.xinfo_groups(STREAM) == []

    @for_each("page", ["", *ACTS])
    def test_the_page_of_a_missing_group_redirects(self, admin_client, redis, at, page):
        assert admin_client.get(at(page, "nobody")).status_code == 302

    @for_each("page", ["", *ACTS])
    def test_the_pages_of_a_group_say_that_redis_cannot_be_reached(self, admin_client, no_redis, at, page):
        assert "Redis cannot be reached" in text_of(admin_client.get(at(page)))


class TestWhoMay:
    def test_a_person_who_may_only_view_bridges_cannot_act_on_groups(self, client_who_may, redis, at):
        made_by_us(redis)
        client = client_who_may("bridges.view_bridge")

        shown = client.get(at())

        assert shown.status_code == 200
        assert b"Move" not in shown.content
        assert [client.get(at(page)).status_code for page in ACTS] == [403] * len(ACTS)
        assert [client.post(at(page), {"to": "end"}).status_code for page in ACTS] == [403] * len(ACTS)

    def test_a_person_who_may_not_view_bridges_sees_no_groups(self, client_who_may, redis, at, orders):
        made_by_us(redis)
        client = client_who_may("streams.view_stream")

        assert client.get(at()).status_code == 403
        assert client.post(url(BRIDGE, "group_new", orders.pk), {"name": "reports"}).status_code == 403

    def test_a_form_without_its_token_acts_on_no_group(self, admin_user, redis, at):
        made_by_us(redis)
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(admin_user)

        assert [strict.post(at(page), {"to": "end"}).status_code for page in ACTS] == [403] * len(ACTS)
        assert actions() == []
