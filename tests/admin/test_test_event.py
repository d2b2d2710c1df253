"""A test event is published as a publisher would, by the person, and the server's answer is shown."""

import orjson
import pytest

from core.models import AuditEntry
from streams.models import EventType
from streams.snapshot import holder
from tests.admin.pages import text_of, url
from tests.definitions import define

SCHEMA = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
GOOD = '{"event_type": "order-placed", "n": 1}'
BAD = '{\n"event_type": "order-placed",\n"n": "one"\n}'


@pytest.fixture
def event_type(db, redis):
    define("orders", {"order-placed": SCHEMA})
    EventType.objects.update(example=orjson.loads(GOOD))
    return EventType.objects.get()


def page_of(event_type):
    return url("streams.eventtype", "publish", event_type.pk)


def send(client, event_type, event, button="publish"):
    holder.refresh()
    return client.post(page_of(event_type), {"event": event, button: ""})


def test_the_form_begins_with_the_example(admin_client, event_type):
    page = admin_client.get(page_of(event_type))

    assert orjson.loads(page.context["form"]["event"].value()) == {"event_type": "order-placed", "n": 1}
    assert "(1 group now)" not in text_of(page)


def test_the_form_of_an_event_type_without_an_example_begins_with_the_required_properties(admin_client, event_type):
    EventType.objects.update(example=None)

    page = admin_client.get(page_of(event_type))
    EventType.objects.update(contract=None)
    bare = admin_client.get(page_of(event_type))

    assert orjson.loads(page.context["form"]["event"].value()) == {"event_type": "order-placed", "n": 0}
    assert orjson.loads(bare.context["form"]["event"].value()) == {"event_type": "order-placed"}


def test_a_published_event_is_in_the_stream_with_the_person_as_its_source(admin_client, redis, event_type):
    page = send(admin_client, event_type, GOOD)

    ((id_, fields),) = redis.xrange("orders")
    assert f"201 Stored as {id_.decode()} It keeps version 1 of its contract." in text_of(page)
    assert fields[b"source"] == b"admin"


def test_publishing_leaves_an_audit_entry(admin_client, event_type):
    send(admin_client, event_type, GOOD)

    entry = AuditEntry.objects.first()
    assert (entry.actor, entry.action, entry.target) == ("person:admin", "publish", "stream orders")
    assert entry.after["event_type"] == "order-placed"


def test_a_refused_event_is_shown_with_each_violation_and_its_line(admin_client, redis, event_type):
    page = send(admin_client, event_type, BAD)

    assert "422 The event breaks its contract" in text_of(page)
    assert "Line 3: “n” must be of type integer, but is a string" in text_of(page)
    assert 'data-error-lines="3"' in page.content.decode()
    assert not redis.exists("orders")
    assert AuditEntry.objects.filter(action="publish").count() == 0


def test_an_invalid_event_for_a_stream_that_only_warns_is_stored_and_its_violation_shown(
    admin_client, redis, event_type
):
    define("orders", enforcement="warn")

    page = send(admin_client, event_type, BAD)

    assert redis.xlen("orders") == 1
    assert "201 Stored as" in text_of(page)
    assert "which orders only warns of: Line 3:" in text_of(page)


@pytest.mark.parametrize(("event", "answer"), [(GOOD, "200 It would be stored"), (BAD, "422 The event breaks")])
def test_a_check_stores_no_event(admin_client, redis, event_type, event, answer):
    page = send(admin_client, event_type, event, button="check")

    assert answer in text_of(page)
    assert not redis.exists("orders")


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ("{oops", "400 This cannot be read as an event Not valid JSON"),
        ("", "400 This cannot be read as an event The body is empty"),
        ('{"n": 1}', "422 The event names no valid event type"),
        ('"<script>alert(1)</script>"', "400 This cannot be read as an event"),
        ('{"event_type": "order-placed", "n": 1, "x": "%s"}' % ("y" * 300_000), "413 The event is larger"),
    ],
)
def test_an_invalid_test_event_shows_the_error_of_the_server(admin_client, event_type, event, answer):
    page = send(admin_client, event_type, event)

    assert page.status_code == 200
    assert answer in text_of(page)
    assert "<script>alert" not in page.content.decode()


def test_a_test_event_without_redis_is_answered_503(admin_client, no_redis):
    define("orders", {"order-placed": SCHEMA})

    page = send(admin_client, EventType.objects.get(), GOOD)

    assert "503 Redis cannot be reached" in text_of(page)


def test_a_person_who_may_not_change_the_event_type_cannot_publish_a_test_event(client_who_may, redis, event_type):
    client = client_who_may("streams.view_eventtype", "streams.view_stream")

    assert client.get(page_of(event_type)).status_code == 403
    assert send(client, event_type, GOOD).status_code == 403
    assert not redis.exists("orders")


def test_a_post_of_a_test_event_from_another_site_is_refused(admin_user, redis, event_type):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert send(client, event_type, GOOD).status_code == 403
    assert not redis.exists("orders")
