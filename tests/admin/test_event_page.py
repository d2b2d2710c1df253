"""From its page, an event is copied as a program, published again, and compared with another one."""

import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import orjson
import pytest

from core.models import AuditEntry
from streams.admin.events import test_event
from streams.admin.events.test_event import without_hidden
from streams.snapshot import holder
from synapse.errors.streams import UnknownEntry
from synapse.formats import exact_json
from synapse.publishing import programs
from tests.admin.pages import text_of, url
from tests.conftest import need
from tests.definitions import define
from tests.tables import for_each

SCHEMA = {
    "properties": {"n": {"type": "integer"}, "email": {"type": "string", "x-pii": True}},
    "required": ["n"],
}
SEES = ("streams.view_stream", "streams.view_payload", "streams.add_event")
# What would end a quoted text, run a command or hide one, were it not written as it is.
HOSTILE = {
    "event_type": "order-placed",
    "n": exact_json.loads("123456789012345678901234567890.5"),
    "texts": [
        "it's $HOME `id` $(id) ${1+1} !! %s {0} \\ \\\" \"\"\" ''' EVENT",
        "\u202e\x7f\x1b[2J\u2028é😀",
        "</script>",
        "@/etc/passwd",
        "a\nb\tc\rd",
    ],
    "": "",
}


@pytest.fixture
def stream(db, redis):
    return define("orders", {"order-placed": SCHEMA})


def publish(client, **event):
    holder.refresh()
    answer = client.post("/events/orders", {"event_type": "order-placed", **event}, content_type="application/json")
    assert answer.status_code == 201
    return answer.json()["id"]


def page_of(stream, id_, name="message"):
    return url("streams.stream", name, stream.pk, id_)


@pytest.fixture
def received():
    """A server on loopback that keeps the requests that it got, as path, headers and body."""
    kept = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            kept.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(b"stored")

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    kept_at = f"http://127.0.0.1:{server.server_port}"
    yield kept, kept_at
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.process
class TestPrograms:
    """Each program publishes exactly the event, whatever is in it."""

    def run(self, command, received, **options):
        kept, address = received
        done = subprocess.run(
            command,
            env={"PATH": "/usr/bin:/bin", "SYNAPSE_URL": address, "SYNAPSE_API_KEY": "syn_key", "HOME": "/nowhere"},
            capture_output=True,
            timeout=60,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stderr
        ((path, headers, body),) = kept
        assert (path, headers["Authorization"]) == ("/events/orders", "Bearer syn_key")
        assert headers["Content-Type"] == "application/json"
        return headers, body

    def test_the_curl_command_publishes_the_event(self, received):
        need(shutil.which("curl"), "curl")

        _, body = self.run(["sh", "-c", programs.curl("orders", HOSTILE)], received)

        assert exact_json.loads(body) == HOSTILE

    def test_the_curl_command_publishes_an_event_longer_than_an_argument_may_be(self, received):
        need(shutil.which("curl"), "curl")
        event = {"event_type": "order-placed", "text": "EVENT\n" * 40_000}

        _, body = self.run(["sh"], received, input=programs.curl("orders", event).encode())

        assert orjson.loads(body) == event

    def test_the_python_program_publishes_the_event_with_a_key_where_one_is_required(self, received):
        program = programs.python("orders", HOSTILE, needs_key=True)

        headers, body = self.run([sys.executable, "-c", program], received)

        assert exact_json.loads(body) == HOSTILE
        assert len(headers["Idempotency-Key"]) == 36

    def test_the_typescript_program_publishes_the_event(self, received):
        need(shutil.which("node"), "Node")

        _, body = self.run(["node", "--input-type=module", "-e", programs.typescript("orders", HOSTILE)], received)

        assert exact_json.loads(body) == HOSTILE


def test_the_page_of_an_event_has_programs_that_publish_it(admin_client, stream):
    id_ = publish(admin_client, n=1)

    page = admin_client.get(page_of(stream, id_))

    assert [program.title for program in page.context["actions"]["programs"]] == ["curl", "Python", "TypeScript"]
    assert """--data-binary '{ "event_type": "order-placed", "n": 1 }'""" in text_of(page)


def test_the_programs_name_the_type_of_an_event_whose_type_is_a_field_beside_its_payload(admin_client, redis, stream):
    id_ = redis.xadd("orders", {"event": "order-placed", "sender": "cyrex", "payload": '{"n": 1}', "priority": "1"})

    page = admin_client.get(page_of(stream, id_.decode()))

    assert '"event_type": "order-placed"' in page.context["actions"]["programs"][0].text


def test_programs_for_a_person_who_may_not_see_pii_hold_the_mask_and_the_page_warns_of_it(
    admin_client, client_who_may, stream
):
    id_ = publish(admin_client, n=1, email="anna@example.org")

    page = client_who_may(*SEES).get(page_of(stream, id_))

    assert "anna@" not in page.content.decode()
    assert "these programs publish the mask in its place" in text_of(page)
    assert "these programs publish the mask" not in text_of(admin_client.get(page_of(stream, id_)))


class TestPublishingAgain:
    """A stored event is published again as a new one, changed or not."""

    def signature(self, client, stream, id_):
        return client.get(page_of(stream, id_, "publish_again")).context["signature"]

    def send(self, client, stream, id_, event, button="publish", *, signature=None):
        holder.refresh()
        if signature is None:
            signature = self.signature(client, stream, id_)
        values = {"event": event, "signature": signature, button: ""}
        return client.post(page_of(stream, id_, "publish_again"), values)

    def first_of(self, page):
        return orjson.loads(page.context["form"]["event"].value())

    def test_the_form_begins_with_the_event(self, admin_client, stream):
        id_ = publish(admin_client, n=1, email="anna@example.org")

        page = admin_client.get(page_of(stream, id_, "publish_again"))

        assert self.first_of(page) == {"event_type": "order-placed", "n": 1, "email": "anna@example.org"}

    def test_the_audit_entry_names_the_original(self, admin_client, redis, stream):
        id_ = publish(admin_client, n=1)

        page = self.send(admin_client, stream, id_, '{"event_type": "order-placed", "n": 2}')

        assert "201 Stored as" in text_of(page)
        assert redis.xlen("orders") == 2
        entry = AuditEntry.objects.filter(action="publish").first()
        assert (entry.target, entry.after["published_again"]) == ("stream orders", id_)
        assert entry.after["id"] != id_

    def test_a_changed_event_is_checked_without_being_published(self, admin_client, redis, stream):
        id_ = publish(admin_client, n=1)

        page = self.send(admin_client, stream, id_, '{"event_type": "order-placed", "n": "x"}', button="check")

        assert "422 The event breaks its contract" in text_of(page)
        assert redis.xlen("orders") == 1

    def test_hidden_values_are_left_out_for_a_person_who_may_not_see_pii(self, admin_client, client_who_may, stream):
        define("orders", {"order-placed": SCHEMA | {"required": []}})
        id_ = publish(admin_client, n=1, email="anna@example.org")

        page = client_who_may(*SEES).get(page_of(stream, id_, "publish_again"))

        assert self.first_of(page) == {"event_type": "order-placed", "n": 1}
        assert "Those values are left out below" in text_of(page)
        assert "anna@" not in page.content.decode()

    @pytest.mark.parametrize("text", ["•••", "\\u2022\\u2022\\u2022", "to •••"])
    def test_a_mask_is_not_published_by_a_person_who_may_not_see_pii(
        self, admin_client, client_who_may, redis, stream, text
    ):
        id_ = publish(admin_client, n=1, email="anna@example.org")
        event = f'{{"event_type": "order-placed", "n": 1, "email": "{text}"}}'

        page = self.send(client_who_may(*SEES), stream, id_, event)

        assert "which stands for a value that you may not see" in text_of(page)
        assert redis.xlen("orders") == 1

    def test_a_value_that_looks_like_the_mask_is_published_by_a_person_who_may_see_pii(
        self, admin_client, redis, stream
    ):
        id_ = publish(admin_client, n=1)

        self.send(admin_client, stream, id_, '{"event_type": "order-placed", "n": 1, "text": "•••"}')

        assert redis.xlen("orders") == 2

    def test_an_event_trimmed_during_the_edit_is_published_all_the_same(self, admin_client, redis, stream):
        id_ = publish(admin_client, n=1)
        signature = self.signature(admin_client, stream, id_)
        redis.xtrim("orders", maxlen=0)

        missing = admin_client.get(page_of(stream, id_, "publish_again"))
        page = self.send(admin_client, stream, id_, '{"event_type": "order-placed", "n": 1}', signature=signature)

        assert "it was trimmed" in text_of(missing)
        assert "201 Stored as" in text_of(page)

    def test_a_post_without_a_token_is_refused(self, admin_user, redis, stream):
        from django.test import Client

        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)

        sent = self.send(client, stream, "1-1", '{"event_type": "order-placed", "n": 1}', signature="")
        assert sent.status_code == 403
        assert not redis.exists("orders")

    def test_the_address_of_an_invalid_entry_id_is_no_page(self, admin_client, stream):
        assert self.send(admin_client, stream, "soon", "{}", signature="").status_code == 302

    def test_an_event_that_was_never_shown_is_not_named_as_the_original(self, admin_client, redis, stream):
        id_ = publish(admin_client, n=1)
        event = '{"event_type": "order-placed", "n": 1}'

        for signature in ("", "x", "ä", self.signature(admin_client, stream, id_)):
            assert self.send(admin_client, stream, "7-7", event, signature=signature).status_code == 302

        assert "signature" not in admin_client.get(page_of(stream, "7-7", "publish_again")).content.decode()
        assert redis.xlen("orders") == 1
        assert not AuditEntry.objects.filter(action="publish").exists()

    @pytest.mark.parametrize("lost", ["shown", "stored"])
    def test_an_event_that_is_deleted_between_two_reads_is_reported_as_missing(
        self, admin_client, monkeypatch, stream, lost
    ):
        id_ = publish(admin_client, n=1)
        ask_all = test_event.ask_all
        gone = UnknownEntry(f"There is no {id_}.")
        monkeypatch.setattr(
            test_event, "ask_all", lambda asked: ask_all(asked) | ({lost: gone} if lost in asked else {})
        )

        page = admin_client.get(page_of(stream, id_, "publish_again"))

        assert page.status_code == 200
        assert gone.detail in text_of(page)
        assert not AuditEntry.objects.filter(action="see payloads").exists()


@pytest.mark.parametrize(
    ("shown", "stored", "left"),
    [
        ({"a": 1}, {"a": 1}, {"a": 1}),
        ({"a": "•••"}, {"a": "•••"}, {"a": "•••"}),
        ({"a": "•••", "b": 1}, {"a": "x", "b": 1}, {"b": 1}),
        ({"a": {"b": "•••", "c": 1}}, {"a": {"b": 7, "c": 1}}, {"a": {"c": 1}}),
        ({"a": ["•••", 1, {"b": "•••"}]}, {"a": ["x", 1, {"b": "y"}]}, {"a": [1, {}]}),
        ({"a": "•••"}, {"a": {"b": 1}}, {}),
        ({"a": None}, {"a": None}, {"a": None}),
    ],
)
def test_masked_values_are_left_out_of_the_form(shown, stored, left):
    assert without_hidden(shown, stored) == left


class TestComparing:
    """Two events are shown with their difference, as far as the person may see them."""

    def ask(self, client, *names):
        return client.get(url("streams.stream", "compare"), {"event": names})

    def test_the_difference_of_two_events_ignores_the_order_of_properties(self, admin_client, stream):
        one = publish(admin_client, n=1, a="x", b="y")
        other = publish(admin_client, b="y", n=2, a="x")

        page = self.ask(admin_client, f"orders/{one}", f"orders/{other}")

        changed = [(row.kind, row.changed) for row in page.context["rows"] if row.kind in ("old", "new")]
        assert changed == [("old", "1"), ("new", "2")]

    def test_events_of_two_streams_are_compared(self, admin_client, redis, stream):
        define("payments")
        one = publish(admin_client, n=1)
        other = redis.xadd("payments", {"event_type": "order-placed", "n": "1"}).decode()

        page = self.ask(admin_client, f"orders/{one}", f"payments/{other}")

        assert "The events are equal." in text_of(page)
        assert page.context["events"][1]["pk"] != stream.pk

    def test_pii_is_masked_in_a_difference(self, admin_client, client_who_may, stream):
        one = publish(admin_client, n=1, email="anna@example.org")
        other = publish(admin_client, n=1, email="bea@example.org")

        page = self.ask(client_who_may(*SEES), f"orders/{one}", f"orders/{other}")

        assert "As far as you may see, the events are equal." in text_of(page)
        assert "@example.org" not in page.content.decode()

    def test_a_comparison_is_recorded_as_payload_access_to_both_events(self, admin_client, stream):
        one, other = publish(admin_client, n=1), publish(admin_client, n=2)

        self.ask(admin_client, f"orders/{one}", f"orders/{other}")

        seen = [entry.after["ids"] for entry in AuditEntry.objects.filter(action="see payloads")]
        assert sorted(seen) == sorted([[one], [other]])

    def test_the_page_offers_the_latest_event_of_the_type_to_compare_with(self, admin_client, stream):
        one, other = publish(admin_client, n=1), publish(admin_client, n=2)

        page = self.ask(admin_client, f"orders/{one}")

        assert [each["id"] for each in page.context["candidates"]] == [other]

    @for_each(
        "names, said",
        [
            (("orders/1-1", "orders/2-2"), "holds no entry 1-1"),
            (("nowhere/1-1",), "nowhere"),
            (("orders/soon",), "An entry id is two numbers"),
            (("no slash",), "Compare two events"),
            (("a/1-1", "b/1-1", "c/1-1"), "the first two"),
            ((), "First event"),
        ],
    )
    def test_missing_events_are_named_in_the_comparison(self, admin_client, stream, names, said):
        page = self.ask(admin_client, *names)

        assert page.status_code == 200
        assert said in text_of(page)
