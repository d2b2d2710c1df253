"""Bridges and archived events in the admin."""

import json
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from bridges import auto_disable
from bridges.admin import bridge_states
from bridges.models import ArchivedEvent, Bridge
from bridges.secrets import values_of
from bridges.snapshot import definition_of
from core.models import AuditEntry, Role
from streams import connections
from streams.models import EventType
from synapse.catalog.bridge_definitions import BridgeDefinition
from synapse.delivery.status import Overview, Status, pack
from synapse.delivery.webhooks import target
from synapse.redis.commands import participants
from tests.admin.pages import leave_pages_undrawn, messages_of, text_of, url
from tests.bridges.receiver import Receiver, answer
from tests.definitions import define
from tests.tables import for_each

BRIDGE, ARCHIVED = "bridges.bridge", "bridges.archivedevent"


@pytest.fixture
def archive(redis, db):
    """A bridge into the database."""
    return Bridge.objects.create(name="archive", stream=define("inference-events"), group="archive", sink="database")


def say(bridge, **status):
    words = pack(Status(**{"state": "running", "since": 1.0, **status}))
    connections.executor().execute([participants.report(bridge.stream.name, bridge.group, "me", words, keep_ms=60_000)])


def form_of(bridge=None, **values):
    base = {
        "name": "to-shop",
        "stream": str(bridge.stream.pk) if bridge else "",
        "group": "shop",
        "event_types": "",
        "sink": "console",
        "enabled": "on",
        "start": "new",
        "batch_size": "500",
        "lease_seconds": "60",
        "handler_timeout_seconds": "15",
        "order": "none",
        "concurrency": "1",
        "delivery_log": "failures",
        "tracing": "link",
        "max_attempts": "10",
        "backoff_base_seconds": "5",
        "backoff_cap_seconds": "3600",
    }
    return {**base, **values}


def keep(bridge, event=None, **columns):
    now = timezone.now()
    values = {"entry_id": f"{ArchivedEvent.objects.count()}-0", "occurred_at": now, "published_at": now, **columns}
    return ArchivedEvent.objects.create(
        bridge=bridge, stream=bridge.stream.name, event=event or {}, **{"event_type": "inference-complete", **values}
    )


def test_the_list_shows_state_age_backlog_and_counts_of_a_bridge(admin_client, redis, archive):
    redis.xadd("inference-events", {"event_type": "inference-complete"})
    redis.xgroup_create("inference-events", "archive", "0")
    redis.hset("syn:{inference-events}:cnt:archive", "done", 1234)
    say(archive)

    text = text_of(admin_client.get(url(BRIDGE)))

    assert re.search(r"archive inference-events as archive healthy database (now|\d+ s) 1 event 1 234 0 0", text)


@pytest.mark.parametrize(
    ("status", "enabled", "shown"),
    [
        ({"state": "failed", "reason": "no such handler"}, True, "failing"),
        ({"state": "waiting", "reason": "Redis is away"}, True, "waiting"),
        (None, True, "not running"),
        ({}, False, "disabled"),
    ],
)
def test_a_bridge_that_does_not_run_is_shown_with_the_reason(admin_client, redis, archive, status, enabled, shown):
    Bridge.objects.update(enabled=enabled)
    if status is not None:
        say(archive, **status)

    assert shown in text_of(admin_client.get(url(BRIDGE)))
    page = text_of(admin_client.get(url(BRIDGE, "change", archive.pk)))
    assert shown in page
    assert (status or {}).get("reason", shown) in page


@for_each(
    "values, health",
    [
        ({}, "healthy"),
        ({"failed_lately": 3, "dead": 1}, "failing"),
        ({"dead": 1}, "degraded"),
        ({"waiting": 1}, "degraded"),
        ({"statuses": {}}, "stopped"),
        ({"statuses": {"me": Status(state="paused", since=1.0)}, "failed_lately": 3}, "paused"),
        ({"statuses": {"me": Status(state="waiting", since=1.0)}}, "degraded"),
        ({"statuses": {"me": Status(state="failed", since=1.0)}}, "failing"),
    ],
)
def test_a_bridge_is_failing_when_it_fails_though_its_process_runs(values, health):
    definition = BridgeDefinition(name="b", stream="orders", group="g", sink="console")

    found = Overview(**{"bridge": definition, "statuses": {"me": Status(state="running", since=1.0)}, **values})

    assert found.health == health


def test_a_pulled_group_is_shown_as_not_read_yet_or_not_read_now(admin_client, redis, archive):
    Bridge.objects.update(sink="pull")
    redis.xgroup_create("inference-events", "archive", id="0", mkstream=True)

    assert "not read yet" in text_of(admin_client.get(url(BRIDGE)))
    redis.xadd("inference-events", {"event": "a"})
    redis.xreadgroup("archive", "somebody", {"inference-events": ">"})
    assert "not read now" in text_of(admin_client.get(url(BRIDGE)))
    assert "not running" not in text_of(admin_client.get(url(BRIDGE, "change", archive.pk)))


@pytest.fixture
def viewer(db):
    """A person who may view bridges, but no payloads."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.groups.add(Role.objects.get(name="viewer"))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("status", [{"error": "no mailbox anna"}, {"state": "failed", "reason": "no mailbox anna"}])
def test_error_texts_of_a_bridge_are_shown_only_to_people_who_may_see_payloads(
    admin_client, viewer, redis, archive, status
):
    say(archive, **status)
    pages = [url(BRIDGE), url(BRIDGE, "change", archive.pk), "/admin/"]

    seen = [viewer.get(page) for page in pages]

    assert not any("anna" in page.content.decode() for page in seen)
    assert bridge_states.HIDDEN in text_of(seen[1])
    assert "no mailbox anna" in text_of(admin_client.get(pages[1]))


def test_the_list_says_why_a_bridge_fails_and_how_many_dead_letters_it_has(admin_client, viewer, redis, archive):
    say(archive, state="failed", reason="no mailbox anna")
    for number in range(3):
        redis.xadd("syn:{inference-events}:dlq:archive", {"id": f"{number}-1"})

    page = admin_client.get(url(BRIDGE))
    seen = viewer.get(url(BRIDGE))

    assert "failing no mailbox anna database" in text_of(page)
    assert re.search(r"0 0 3 ", text_of(page))
    assert f"failing {bridge_states.HIDDEN[:79]}… database" in text_of(seen)
    letters = url(BRIDGE, "dead_letters_group", archive.stream.pk, "archive")
    assert (letters in page.content.decode(), letters in seen.content.decode()) == (True, False)


def test_a_bridge_that_disabled_itself_shows_the_reason_until_it_is_enabled(admin_client, viewer, redis, archive):
    auto_disable.disable_bridge(definition_of(archive), "The receiver wants no more events.")
    pages = [url(BRIDGE), url(BRIDGE, "change", archive.pk)]

    for page in pages:
        text = text_of(admin_client.get(page))
        assert "disabled" in text
        assert "It was disabled: The receiver wants no more events." in text
        assert "no more events" not in viewer.get(page).content.decode()

    change = {"name": "archive", "group": "archive", "sink": "database"}
    admin_client.post(pages[1], form_of(archive, **change))
    admin_client.post(pages[1], form_of(archive, **change) | {"enabled": ""})
    assert Bridge.objects.get().enabled is False
    assert "It was disabled:" not in text_of(admin_client.get(pages[1]))


def test_error_texts_of_a_bridge_are_escaped(admin_client, redis, archive):
    say(archive, error="<script>\x1b[2J\u202e")

    page = admin_client.get(url(BRIDGE, "change", archive.pk)).content.decode()

    assert "&lt;script&gt;\\u001b[2J\\u202e" in page


def test_a_bridge_is_made_and_recorded(admin_client, redis, archive):
    given = form_of(archive, event_types="inference-error, inference-complete", group="")
    rows = {
        "filters-property": ["latency_ms", "model", "source", ""],
        "filters-op": ["gt", "in", "exists", "eq"],
        "filters-value": ["100", "a, 7", "", ""],
        "retry_schedule-wait": ["5", "2h", ""],
    }

    admin_client.post(url(BRIDGE, "add"), given | rows)

    row = Bridge.objects.get(name="to-shop")
    assert (row.group, row.config, row.sink, row.start) == ("to-shop", {}, "console", "new")
    assert row.event_types == ["inference-error", "inference-complete"]
    assert row.retry_schedule == [5, "2h"]
    assert row.filters == [
        {"property": "latency_ms", "op": "gt", "value": 100},
        {"property": "model", "op": "in", "value": ["a", 7]},
        {"property": "source", "op": "exists"},
    ]
    assert AuditEntry.objects.filter(target="bridge to-shop", action="create").exists()


@for_each(
    "values, field, said",
    [
        ({"sink": "handler"}, "config.handler", "is missing"),
        (
            {"sink": "handler", "config-handler-handler": "os.system"},
            "config.handler",
            "“os.system” is not on the list",
        ),
        ({"sink": "database", "config-database-keep_days": "seven"}, "config.keep_days", "Enter a whole number"),
        ({"sink": "database", "config-database-keep_days": "0"}, "config.keep_days", "must be from 1 to"),
        ({"sink": "stream", "config-stream-stream": "nowhere"}, "config.stream", "there is no stream “nowhere”"),
        (
            {"sink": "stream", "config-stream-stream": "inference-events"},
            "config.stream",
            "is the stream that the bridge",
        ),
        ({"sink": "webhook"}, "config.url", "is missing"),
        (
            {"sink": "webhook", "config-webhook-url": "https://localhost/", "config-webhook-secret": " new"},
            "config.url",
            "must not lead to this machine",
        ),
        (
            {"sink": "webhook", "config-webhook-url": "https://a.example/", "config-webhook-secret": "nobody"},
            "config.secret",
            "there is no secret “nobody”",
        ),
        (
            {"sink": "webhook", "config-webhook-headers-name": "", "config-webhook-headers-value": "7"},
            "config.headers",
            "“7” has no name",
        ),
        ({"sink": "paper"}, "sink", "Select a valid choice"),
        ({"event_types": "ok, a b"}, "event_types", "“a b” is no event type"),
        ({"event_types": '["a", 1]'}, "event_types", "A list of event types"),
        ({"handler_timeout_seconds": "31"}, "handler_timeout_seconds", "At most half of the lease."),
        ({"group": "archive"}, "__all__", "already exists"),
        (
            {"filters-property": "a", "filters-op": "gt", "filters-value": ""},
            "filters",
            "Filter 1: “value” is missing: what gt compares with.",
        ),
        ({"filters-property": "a", "filters-op": "like", "filters-value": "7"}, "filters", "Filter 1: “op” is"),
        ({"retry_schedule-wait": "soon"}, "retry_schedule", "A wait is a number of seconds"),
        ({"order": "key"}, "order_key", "needs one"),
        ({"order": "key", "order_key": "a/b"}, "order_key", "one top-level property"),
        ({"start": "yesterday"}, "start", "not a start position"),
        ({"concurrency": "0"}, "concurrency", "greater than or equal to 1"),
        ({"backoff_cap_seconds": "1"}, "backoff_cap_seconds", "Not less than the first wait."),
        ({"group": "syn:x"}, "group", "A name has"),
    ],
)
def test_an_unusable_bridge_setting_is_refused_on_its_field(
    admin_client, redis, archive, monkeypatch, values, field, said
):
    leave_pages_undrawn(monkeypatch)

    answer = admin_client.post(url(BRIDGE, "add"), form_of(archive, **values))

    assert answer.status_code == 200
    form = answer.context_data["adminform"].form
    column, _, setting = field.partition(".")
    assert column in form.errors
    assert said in " ".join((form.sinks[values["sink"]] if setting else form).errors[setting or field])
    assert Bridge.objects.count() == 1


def test_without_redis_definitions_can_be_edited_all_the_same(admin_client, archive, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    connections.executor.cache_clear()

    for page in (url(BRIDGE), url(BRIDGE, "change", archive.pk), "/admin/"):
        assert "Redis cannot be reached" in text_of(admin_client.get(page))
    given = form_of(archive, name="archive", sink="database")
    admin_client.post(url(BRIDGE, "change", archive.pk), given)
    assert Bridge.objects.get().group == "shop"
    connections.executor.cache_clear()


def test_a_stream_that_a_bridge_reads_cannot_be_deleted(admin_client, redis, archive):
    page = text_of(admin_client.get(url("streams.stream", "delete", archive.stream.pk)))

    assert "archive" in page
    admin_client.post(url("streams.stream", "delete", archive.stream.pk), {"post": "yes"})
    assert Bridge.objects.exists()


def test_archived_events_stay_when_their_bridge_is_deleted(admin_client, redis, archive):
    keep(archive)

    answer = admin_client.post(url(BRIDGE, "delete", archive.pk), {"post": "yes"}, follow=True)

    assert "deleted successfully" in messages_of(answer)[0]
    assert ArchivedEvent.objects.get().bridge is None


def test_archived_events_are_listed_filtered_and_shown_and_never_changed(admin_client, redis, archive):
    keep(archive, {"latency_ms": 45, "text": "<b>"}, source="cyrex", note="NUL characters were replaced by U+FFFD.")
    other = keep(archive, {"error": "x"}, event_type="inference-error", entry_id="77-0")

    page = text_of(admin_client.get(url(ARCHIVED)))
    assert "inference-complete" in page
    assert "inference-error" in page
    assert "77-0" not in text_of(admin_client.get(url(ARCHIVED), {"q": "0-0"}))
    EventType.objects.create(stream=archive.stream, name="inference-error")
    filtered = admin_client.get(url(ARCHIVED), {"event_type": "inference-error"})
    assert [row.pk for row in filtered.context["cl"].result_list] == [other.pk]

    first = ArchivedEvent.objects.get(entry_id="0-0")
    html = admin_client.get(url(ARCHIVED, "change", first.pk)).content.decode()
    assert "&quot;text&quot;: &quot;&lt;b&gt;&quot;" in html
    assert "NUL characters were replaced" in html
    assert admin_client.post(url(ARCHIVED, "change", first.pk), {"source": "x"}).status_code == 403
    assert admin_client.get(url(ARCHIVED, "add")).status_code == 403


SUMMARY = {
    "title": "Inferences",
    "completed": ["inference-complete"],
    "failed": ["inference-error"],
    "by": "model_name",
    "measure": "latency_ms",
    "unit": "ms",
}


def test_archived_events_are_summed_up_as_their_stream_declares(admin_client, redis, archive):
    define("inference-events", summaries=[SUMMARY])
    for latency in (10, 20, 30):
        keep(archive, {"model_name": "classifier", "latency_ms": latency})
    keep(archive, {"model_name": "classifier"}, event_type="inference-error")
    hours = timezone.now() - timedelta(hours=5)
    keep(archive, {"model_name": "writer", "latency_ms": 1000}, published_at=hours)

    text = text_of(admin_client.get(url(ARCHIVED, "summaries")))

    hour, day = text.split("The last day")
    assert "Inferences: The last hour inference-events" in hour
    assert "classifier 3 1 20.0 ms 30.0 ms All 3 1 20.0 ms 30.0 ms" in hour
    assert "writer" not in hour
    assert "writer 1 0 1000.0 ms 1000.0 ms" in day


def test_summaries_are_offered_where_a_stream_declares_one(admin_client, redis, archive):
    address = url(ARCHIVED, "summaries")
    assert "No stream declares a summary" in text_of(admin_client.get(address))
    assert address not in admin_client.get(url(ARCHIVED)).content.decode()

    define("inference-events", summaries=[SUMMARY])

    assert text_of(admin_client.get(address)).count("No such event of that time") == 2
    assert admin_client.get(url(ARCHIVED)).content.decode().count(address) == 2
    assert address in admin_client.get("/admin/").content.decode()


def test_only_people_with_permission_see_bridges_and_archived_events(client, django_user_model, redis, archive):
    client.force_login(django_user_model.objects.create_user("someone", password="x", is_staff=True))

    for page in (url(BRIDGE), url(ARCHIVED), url(ARCHIVED, "summaries")):
        assert client.get(page).status_code == 403
    assert "archive" not in text_of(client.get("/admin/"))


def test_the_first_page_names_each_bridge_and_its_state(admin_client, redis, archive):
    redis.hset("syn:{inference-events}:cnt:archive", "done", 7)
    say(archive)

    assert "archive healthy inference-events database 7 0 0" in text_of(admin_client.get("/admin/"))


def test_a_stream_that_a_bridge_reads_cannot_be_deleted_and_its_page_names_the_bridge(admin_client, redis, archive):
    text = text_of(admin_client.get(url("streams.stream", "delete", archive.stream.pk)))

    assert "“inference-events” cannot be deleted This is in the way: Bridge: archive Back" in text


def test_the_audit_record_of_a_bridge_is_json(admin_client, redis, archive):
    admin_client.post(url(BRIDGE, "add"), form_of(archive))

    assert json.dumps(AuditEntry.objects.get(target="bridge to-shop").after)


def test_a_bridge_whose_handler_is_not_allowed_any_more_can_be_disabled(admin_client, archive):
    values = {"sink": "handler", "config": {"handler": "shop.gone"}}
    Bridge.objects.filter(pk=archive.pk).update(**values)
    form = form_of(archive, name="archive", group="archive", sink="handler")
    form |= {"config-handler-handler": "shop.gone"}

    refused = admin_client.post(url(BRIDGE, "change", archive.pk), {**form, "config-handler-handler": "shop.other"})
    saved = admin_client.post(url(BRIDGE, "change", archive.pk), {**form, "enabled": ""})

    assert "not on the list" in text_of(refused)
    assert saved.status_code == 302
    assert Bridge.objects.get(pk=archive.pk).enabled is False


@pytest.fixture
def receiver():
    """A webhook's receiver on this machine."""
    running = Receiver()
    yield running
    running.close()


@pytest.fixture
def to_shop(redis, archive, settings, receiver):
    """A webhook bridge that leads to the receiver, made with the form; the page that followed it."""
    settings.WEBHOOK_ALLOW = target.read_allowed(["127.0.0.1"])
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    form = form_of(archive, sink="webhook") | {
        "config-webhook-url": receiver.url,
        "config-webhook-secret": " new",
        "config-webhook-body": "envelope",
        "config-webhook-headers-name": "X-Shop",
        "config-webhook-headers-value": "7",
    }
    return client, client.post(url(BRIDGE, "add"), form, follow=True)


def test_the_secret_of_a_webhook_is_made_with_it_and_shown_once(to_shop, receiver):
    client, page = to_shop

    bridge = Bridge.objects.get(name="to-shop")
    assert bridge.config == {"url": receiver.url, "secret": "to-shop", "headers": {"X-Shop": "7"}}
    (value,) = re.findall(r"whsec_\S+", " ".join(messages_of(page)))
    assert values_of("to-shop") == [value]
    entry = AuditEntry.objects.get(target="secret to-shop")
    assert (entry.action, entry.actor) == ("create", "person:root")
    assert value not in json.dumps([entry.after, AuditEntry.objects.get(target="bridge to-shop").after])
    assert value not in client.get(url(BRIDGE, "change", bridge.pk)).content.decode()


def test_saving_a_bridge_as_it_is_changes_nothing(to_shop, receiver):
    client, _ = to_shop
    bridge = Bridge.objects.get(name="to-shop")
    Bridge.objects.filter(pk=bridge.pk).update(
        config={**bridge.config, "body": "envelope", "permanent_statuses": [400]},
        filters=[{"property": "a", "op": "eq", "value": "7"}, {"property": "b", "op": "in", "value": ["x", 1.5, True]}],
        retry_schedule=[1, "5m"],
    )
    before = Bridge.objects.filter(pk=bridge.pk).values().get()

    saved = client.post(url(BRIDGE, "change", bridge.pk), sent_as_shown(client.get(url(BRIDGE, "change", bridge.pk))))

    assert saved.status_code == 302
    assert Bridge.objects.filter(pk=bridge.pk).values().get() == before
    assert not AuditEntry.objects.filter(target="bridge to-shop", action="change").exists()


def sent_as_shown(page):
    """Return what a browser sends when a person saves a form as it came."""
    form = ShownForm()
    form.feed(page.content.decode())
    return {
        name: [one[0] if isinstance(one, list) else one for one in values if one != []]
        for name, values in form.sent.items()
    }


class ShownForm(HTMLParser):
    """The inputs of a page with their values."""

    def __init__(self):
        super().__init__()
        self.sent, self._options = {}, []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        name, kind = given.get("name"), given.get("type")
        is_switch = kind in ("checkbox", "radio")
        if tag == "select":
            self._options = []
            self.sent.setdefault(name, []).append(self._options)
        elif tag == "option":
            # A browser sends the first one where none is selected.
            self._options.insert(0 if "selected" in given else len(self._options), given.get("value", ""))
        elif tag == "input" and name and (not is_switch or "checked" in given):
            self.sent.setdefault(name, []).append(given.get("value", "on" if is_switch else ""))


@pytest.mark.parametrize("status", [204, 500])
def test_a_test_event_says_what_the_receiver_answered_and_is_recorded(to_shop, receiver, redis, status):
    client, _ = to_shop
    bridge = Bridge.objects.get(name="to-shop")
    receiver.answers = lambda _: answer(status, body=b"" if status == 204 else b"no <b>room</b>")

    page = client.post(url(BRIDGE, "try_out", bridge.pk))

    (request,) = receiver.got
    assert request.is_signed_with(values_of("to-shop")[0])
    assert request.headers["x-shop"] == "7"
    assert request.json["data"] == {"event_type": "test", "test": True}
    assert redis.exists("inference-events") == 0
    text = text_of(page)
    assert re.search(rf"{status} The receiver {'took it' if status == 204 else 'did not take it'}, after \d+ ms", text)
    assert ("no <b>room</b>" in text) == (status == 500)
    entry = AuditEntry.objects.get(action="test", target="bridge to-shop")
    assert (entry.after["status"], entry.after["taken"]) == (status, status == 204)


def test_a_test_event_is_not_sent_to_an_address_that_is_not_allowed(to_shop, receiver, settings):
    client, _ = to_shop
    settings.WEBHOOK_ALLOW = target.read_allowed([])

    page = client.post(url(BRIDGE, "try_out", Bridge.objects.get(name="to-shop").pk), {"event": '{"event_type": "a"}'})

    assert "SYNAPSE_WEBHOOK_ALLOW can allow its host" in text_of(page)
    assert receiver.got == []


def test_pause_and_resume_are_buttons_on_the_page_of_a_bridge(admin_client, viewer, redis, archive):
    page = url(BRIDGE, "change", archive.pk)
    pause, resume = url(BRIDGE, "pause", archive.pk), url(BRIDGE, "resume", archive.pk)

    assert pause in admin_client.get(page).content.decode()
    assert pause not in viewer.get(page).content.decode()
    admin_client.get(pause)
    assert Bridge.objects.get().paused is False
    assert viewer.post(pause).status_code == 403
    assert "“archive” is paused" in messages_of(admin_client.post(pause, follow=True))[0]
    assert Bridge.objects.get().paused is True
    assert AuditEntry.objects.filter(action="pause", target="bridge archive").exists()
    admin_client.post(resume)
    assert Bridge.objects.get().paused is False
