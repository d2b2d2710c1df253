"""The URL of a receiver of notifications is in one sealed secret and nowhere else; the admin sets one up."""

import logging

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User

from bridges.models import Bridge
from bridges.runtime.worker_factory import open_worker
from bridges.snapshot import definition_of
from core.models import AuditEntry
from streams.snapshot import holder
from synapse.catalog.file import BadCatalog
from synapse.delivery.shutdown import ThreadStop
from synapse_project import catalog
from tests.admin.pages import text_of, url
from tests.bridges.notified import TOKENS
from tests.bridges.receiver import answer
from tests.bridges.test_bridges_in_the_admin import form_of
from tests.definitions import define

BRIDGE, SECRET = "bridges.bridge", "bridges.secret"
pytestmark = pytest.mark.process


@pytest.fixture
def orders(redis, db):
    return define("orders")


@pytest.fixture
def chat(receivers, admin_client, orders):
    """A chat, whose URL a person saved as the secret `chat`, and a bridge to it."""
    chat = receivers.http()
    address = f"workflows://127.0.0.1:{chat.port}/{'/'.join(TOKENS)}"
    admin_client.post(url(SECRET, "add"), {"name": "chat", "new_value": address})
    form = form_of(stream=orders.pk, sink="notification", name="to-chat", group="chat", start="beginning")
    saved = admin_client.post(url(BRIDGE, "add"), form | {"config-notification-target": "chat", "max_attempts": "1"})
    assert saved.status_code == 302, text_of(saved)
    return chat


def dump_of(redis):
    """Return all that Redis holds as text."""
    read = {
        b"stream": redis.xrange,
        b"hash": redis.hgetall,
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"set": redis.smembers,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"string": redis.get,
    }
    return repr({key: read[redis.type(key)](key) for key in redis.scan_iter()})


def rows_of_all_tables():
    return repr([list(model.objects.values()) for model in apps.get_models()])


def test_the_url_is_in_no_dead_letter_log_export_audit_entry_answer_or_page(admin_client, redis, chat, caplog):
    caplog.set_level(logging.DEBUG)
    # It quotes what it was sent, as some do.
    chat.always(answer(403, body=f"no such hook: {'/'.join(TOKENS)}".encode()))
    redis.xadd("orders", {"event_type": "order-placed"})
    holder.refresh()
    bridge, said = Bridge.objects.get(), []

    worker = open_worker(definition_of(bridge), say=said.append, stop=ThreadStop(), drain=True, block_ms=0)
    worker.run()

    (asked,) = chat.got
    assert all(token in asked.line for token in TOKENS)
    pages = [
        admin_client.get(address, follow=True).content.decode()
        for address in (
            url(BRIDGE),
            url(BRIDGE, "change", bridge.pk),
            url(BRIDGE, "statistics", bridge.pk),
            url(BRIDGE, "dead_letters_group", bridge.stream_id, "chat"),
            url(SECRET),
            url("core.auditentry"),
            "/streams/orders/groups",
            "/streams/orders/groups/chat/dead-letters",
            "/audit",
        )
    ]
    tried = admin_client.post(url(BRIDGE, "try_out", bridge.pk)).content.decode()
    places = {
        "dead letters": dump_of(redis),
        "database": rows_of_all_tables(),
        "log": caplog.text + repr(said),
        "export": catalog.export(),
        "pages": "".join(pages),
        "test event": tried,
    }
    assert {name for name, text in places.items() if any(token in text for token in TOKENS)} == set()
    assert "403" in places["dead letters"]
    assert "403" in tried


def test_a_test_event_shows_what_the_receiver_said_and_is_recorded(admin_client, redis, chat):
    chat.always(answer(202))
    bridge = Bridge.objects.get()

    page = text_of(admin_client.post(url(BRIDGE, "try_out", bridge.pk)))

    assert "202 The receiver took it, after" in page
    assert AuditEntry.objects.get(action="test").after["status"] == 202


HOSTILE = "slack://T000/B000/tok3ntok3n"


@pytest.mark.parametrize("may_see_secrets", [True, False])
def test_a_form_refuses_a_url_in_place_of_a_secret_and_does_not_repeat_it(client, orders, redis, may_see_secrets):
    person = User.objects.create_user("someone", password="secret", is_staff=True)
    rights = ["add_bridge", "view_bridge", "view_stream", *(["view_secret", "add_secret"] if may_see_secrets else [])]
    person.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(person)

    form = form_of(stream=orders.pk, sink="notification") | {"config-notification-target": HOSTILE}
    page = client.post(url(BRIDGE, "add"), form)

    assert page.status_code == 200
    assert "must be the name of a secret" in text_of(page)
    assert "tok3n" not in page.content.decode()
    assert not Bridge.objects.exists()


def test_a_form_offers_the_secrets_that_there_are_and_no_new_one_for_a_receiver(admin_client, chat):
    page = admin_client.get(url(BRIDGE, "add")).content.decode()

    (_, target) = page.split('name="config-notification-target"', 1)
    options = target.partition("</select>")[0]
    assert '<option value="chat"' in options
    assert "A new one" not in options


def test_a_catalog_file_with_a_url_is_refused_without_repeating_it(orders):
    file = f"bridges: [{{name: b, stream: orders, group: g, sink: notification, config: {{target: '{HOSTILE}'}}}}]"

    with pytest.raises(BadCatalog) as refusal:
        catalog.Catalog(file.encode(), name="file.yaml").plan()

    assert "config.target: must be the name of a secret" in repr(refusal.value.problems)
    assert "tok3n" not in repr(refusal.value.problems) + str(refusal.value)
