"""A file of JSON lines is checked first, and stored by a person who may publish."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from core.audit_query import sentence
from core.models import AuditEntry
from streams.admin.events import event_import
from streams.snapshot import holder
from synapse.redis.errors import ReplyLost
from tests.admin.pages import text_of, url
from tests.definitions import define

GOOD = b'{"event_type": "order-placed", "n": 1}\n'
BAD = b'{"event_type": "order-placed", "n": "x"}\n'


@pytest.fixture
def stream(db, redis):
    return define("orders", {"order-placed": {"properties": {"n": {"type": "integer"}}, "required": ["n"]}})


def send(client, stream, text, button="check", **more):
    holder.refresh()
    file = SimpleUploadedFile("orders.ndjson", text)
    return client.post(url("streams.stream", "import", stream.pk), {"file": file, button: "", **more})


def test_a_check_lists_refused_lines_with_reasons_and_stores_nothing(admin_client, redis, stream):
    page = send(admin_client, stream, GOOD + b"\n" + BAD + b"{oops\n" + GOOD)

    text = text_of(page)
    assert "2 of 4 lines can be stored. 2 are refused." in text
    assert page.context["report"]["errors"][0]["pointer"] == "/n"
    assert "3 " + page.context["report"]["errors"][0]["message"] + " /n" in text
    assert "Store 2 events" in text
    assert [error["line"] for error in page.context["report"]["errors"]] == [3, 4]
    assert not redis.exists("orders")


def test_a_file_that_was_checked_is_stored_and_recorded(admin_client, redis, stream):
    checked = send(admin_client, stream, GOOD + BAD).context["checked"]

    page = send(admin_client, stream, GOOD + BAD, button="store", checked=checked)

    assert "1 of 2 lines is stored. 1 is refused." in text_of(page)
    assert redis.xlen("orders") == 1
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.target, entry.after["count"]) == ("import", "stream orders", 1)
    assert "imported 1 event into stream orders" in text_of(admin_client.get("/admin/core/auditentry/story/"))


def test_a_file_that_is_imported_twice_is_stored_once(admin_client, redis, stream):
    checked = send(admin_client, stream, GOOD).context["checked"]
    for _ in range(2):
        page = send(admin_client, stream, GOOD, button="store", checked=checked)

    assert "1 of them was imported before." in text_of(page)
    assert redis.xlen("orders") == 1
    assert [entry.after["count"] for entry in AuditEntry.objects.filter(action="import").order_by("pk")] == [1, 0]


@pytest.mark.parametrize("checked", ["", "0" * 64])
def test_an_unchecked_file_is_checked_and_not_stored(admin_client, redis, stream, checked):
    page = send(admin_client, stream, GOOD, button="store", checked=checked)

    assert "This is another file than the one that was checked. Nothing was stored" in text_of(page)
    assert not redis.exists("orders")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "The batch holds no events."),
        (b"\xff\xfe", "0 of 1 line can be stored."),
        (b'{"event_type": "order-placed", "n": "<script>alert(1)</script>\xe2\x80\xae"}', "0 of 1 line"),
    ],
)
def test_a_file_without_a_valid_line_is_refused_with_the_reason(admin_client, redis, stream, text, said):
    page = send(admin_client, stream, text)

    assert page.status_code == 200
    assert said in text_of(page)
    assert "<script>alert" not in page.content.decode()
    assert "\u202e" not in page.content.decode()
    assert 'name="store"' not in page.content.decode()


def test_a_masked_row_of_an_export_is_refused(admin_client, redis, stream):
    row = '{"id": "1-1", "stream": "orders", "data": {}, "layout": "flat", "event": {"event_type": "x", "e": "•••"}}'

    page = send(admin_client, stream, row.encode())

    assert "PII is masked in this line" in text_of(page)


def test_a_form_without_a_file_asks_for_one(admin_client, stream):
    page = admin_client.post(url("streams.stream", "import", stream.pk), {"check": ""})

    assert "Choose a file." in text_of(page)


def test_an_import_without_redis_names_redis_and_is_recorded_as_failed(admin_client, no_redis):
    stream = define("orders")
    text = b'{"event_type": "x"}\n'
    checked = send(admin_client, stream, text).context["checked"]

    assert "Redis" in text_of(send(admin_client, stream, text, button="store", checked=checked))
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")][-2:] == ["begin import", "fail to import"]


def test_a_check_leaves_no_audit_entry(admin_client, redis, stream):
    send(admin_client, stream, GOOD + BAD)

    assert not AuditEntry.objects.filter(action__contains="import").exists()


@pytest.mark.parametrize(
    ("failure", "actions"),
    [
        (ReplyLost("The answer was lost."), ["begin import", "fail to import"]),
        # The process ends, or has a fault of its own.
        (KeyError("x"), ["begin import"]),
    ],
)
def test_an_import_that_fails_after_it_began_leaves_an_audit_entry(
    admin_client, redis, monkeypatch, stream, failure, actions
):
    checked = send(admin_client, stream, GOOD).context["checked"]

    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(event_import.imports, "import_events", fail)
    admin_client.raise_request_exception = False
    send(admin_client, stream, GOOD, button="store", checked=checked)

    entries = AuditEntry.objects.filter(target="stream orders").order_by("pk")
    assert [entry.action for entry in entries] == actions
    if len(actions) == 2:
        story = text_of(admin_client.get("/admin/core/auditentry/story/"))
        assert "failed to import events into stream orders: The answer was lost." in story


def test_the_audit_log_counts_imported_events_that_redis_did_not_confirm():
    told = sentence("import", "stream orders", None, {"count": 2, "aborted": 3})

    assert told == "imported 2 events into stream orders, and perhaps 3 more"


def test_a_person_who_may_not_publish_cannot_import(client_who_may, redis, stream):
    client = client_who_may("streams.view_stream", "streams.view_payload")

    assert client.get(url("streams.stream", "import", stream.pk)).status_code == 403
    assert send(client, stream, GOOD).status_code == 403
    assert "Import…" not in text_of(client.get("/admin/streams/stream/explorer/?stream=orders"))


def test_a_post_without_a_token_imports_nothing(admin_user, redis, stream):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert send(client, stream, GOOD, button="store").status_code == 403
