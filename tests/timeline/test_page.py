"""The page of one event shows where it is for each group, and its story."""

import re

import pytest
from django.urls import reverse

from bridges import dead_letters
from bridges.admin.timeline import changes_of
from core.models import AuditEntry
from synapse.auth.principal import Principal
from synapse.dead_letters import Ids
from synapse.redis.commands import dead_letters as dead_letter_commands
from tests.admin.pages import text_of
from tests.bridges.cast import GROUP, PLACE, STREAM, TWICE, publish
from tests.definitions import define

pytestmark = pytest.mark.django_db
SEES = ("streams.view_stream", "bridges.view_bridge", "streams.view_payload")


@pytest.fixture
def page(orders):
    """Open the page of an event as a person."""

    def open_page(client, id_):
        return client.get(reverse("admin:streams_stream_message", args=[orders.pk, id_]))

    return open_page


@pytest.fixture
def dead(redis, worker):
    """An event that died, with an error that quotes it."""
    define(STREAM, {"order-placed": {"properties": {"mood": {"x-pii": True}}}})
    shop = worker(retry=TWICE)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="anna@example.org")
    shop.run_dry()
    return id_


def test_the_page_shows_the_place_in_each_group_with_the_pages_that_help(redis, admin_client, page, dead, shop):
    redis.xgroup_create(STREAM, "analytics", "0")

    shown = page(admin_client, dead)

    text = text_of(shown)
    assert f"{GROUP} orders-to-shop dead letter" in text
    assert "analytics unread The group has not read it yet." in text
    assert "Attempt 1 failed" in text
    assert "Became a dead letter after 2 attempts" in text
    assert text.index("Stored") < text.index("Attempt 1 failed") < text.index("Became a dead letter")
    body = shown.content.decode()
    for name in ("dead_letters_one", "dead_letters_redrive", "dead_letters_discard", "group"):
        arguments = [shop.stream_id, GROUP, *(["0-0"] if name == "dead_letters_one" else [])]
        assert reverse(f"admin:bridges_bridge_{name}", args=arguments).replace("0-0/", "") in body


def test_an_error_is_masked_for_a_person_who_may_not_see_pii(client_who_may, page, dead):
    shown = page(client_who_may(*SEES), dead)

    assert "ValueError: •••" in text_of(shown)
    assert "anna@example.org" not in shown.content.decode()


def test_a_person_without_payload_access_sees_the_places_and_no_content(client_who_may, page, dead):
    shown = page(client_who_may("streams.view_stream", "bridges.view_bridge"), dead)

    assert shown.status_code == 200
    assert "dead letter" in text_of(shown)
    assert "ValueError" not in text_of(shown)
    assert "order-placed" not in text_of(shown)
    assert not AuditEntry.objects.filter(action="see payloads").exists()


def test_a_trimmed_event_is_told_from_its_dead_letter_and_the_look_is_recorded(redis, send, client_who_may, page, dead):
    redis.xdel(STREAM, dead)
    client = client_who_may(*SEES)

    shown = page(client, dead)

    assert "The stream does not hold this event any more." in text_of(shown)
    assert "ValueError: •••" in text_of(shown)
    assert AuditEntry.objects.get(action="see payloads").after["ids"] == [dead]
    letter = redis.xrange(f"syn:{{{STREAM}}}:dlq:{GROUP}")[0][0].decode()
    send(dead_letter_commands.discard(*PLACE, [letter]))
    assert "Timeline" not in text_of(page(client, dead))


@pytest.mark.parametrize("permissions", [SEES, SEES[:2]], ids=["payloads", "no payloads"])
def test_an_event_that_never_was_is_refused_once(redis, client_who_may, page, permissions):
    client = client_who_may(*permissions)

    shown = [page(client, id_).content.decode() for id_ in ("1-1", "nonsense")]

    assert [each.count("s-note s-bad") for each in shown] == [1, 1]


def test_the_attempts_of_an_event_that_fails_for_long_are_folded(redis, admin_client, worker, page):
    shop = worker(lease_ms=60_000)
    shop.run_dry()
    (id_,) = publish(redis, 1, mood="no stock")
    for _ in range(6):
        shop.worker.step()
        redis.zadd(f"syn:{{{STREAM}}}:due:{GROUP}", {id_: 1})

    text = text_of(page(admin_client, id_))

    assert f"3 earlier attempts of {GROUP}" in text
    assert "scheduled for retry" in text


def test_the_story_tells_each_attempt_and_action_after_they_are_over(redis, admin_client, worker, shop, page):
    made = worker(delivery_log="all", retry=TWICE)
    made.run_dry()
    (id_,) = publish(redis, 1, mood="no stock")
    made.run_dry()
    letter = redis.xrange(f"syn:{{{STREAM}}}:dlq:{GROUP}")[0][0].decode()
    anna = Principal(kind="person", name="anna")
    dead_letters.redrive(STREAM, GROUP, Ids((letter,)), by=anna)
    made.sink.cured = True
    made.run_dry()

    text = text_of(page(admin_client, id_))

    assert "Attempt 1 succeeded" in text
    told = ("Attempt 1 failed", "Attempt 2 failed", "Became a dead letter", "Redriven by person:anna")
    places = [text.index(each) for each in told]
    assert places == sorted(places)
    assert f"{GROUP} orders-to-shop acknowledged It was acknowledged." in text
    assert f"on {made.worker.subscription.consumer}" in text


def test_the_time_of_an_attempt_is_called_a_mean_unless_its_event_was_delivered_alone(admin_client, page, dead, shop):
    shown = {"as delivered": text_of(page(admin_client, dead))}
    for name, changed in (("alone", {"batch_size": 1}), ("pulled", {"sink": "pull", "batch_size": 500})):
        type(shop).objects.update(**changed)
        shown[name] = text_of(page(admin_client, dead))

    assert "ms on average in its batch" in shown["as delivered"]
    for name in ("alone", "pulled"):
        assert "on average" not in shown[name]
        assert re.search(r"Attempt 1 failed after \d+ ms", shown[name])


def test_two_dead_letters_of_one_millisecond_have_a_line_and_a_link_each():
    at = "2026-11-23T11:20:38.620Z"
    dead = {"what": "dead", "at": at, "by": None, "to": None}
    letters = [{"id": id_, "last_failed_at": at, "attempts": nth} for nth, id_ in ((1, "5-0"), (2, "5-1"))]
    urls = {"5-0": "/first/", "5-1": "/second/"}
    row = {"group": GROUP, "url": "", "letter_urls": urls, "dead_letters": letters}

    for changes in ([], [dead], [dead, dead]):
        told = [(line.text, line.detail, line.url) for line in changes_of({**row, "changes": changes})]
        assert told == [
            ("Became a dead letter", "after 1 attempt", "/first/"),
            ("Became a dead letter", "after 2 attempts", "/second/"),
        ]


def test_without_redis_the_page_says_so(admin_client, page, no_redis):
    shown = page(admin_client, "1-1")

    assert shown.status_code == 200
    assert "Timeline" not in text_of(shown)
