"""A service's keys in the admin: shown once, rotated, revoked, each with a permission of its own."""

import json
import re
import shlex

import pytest

from core.models import AuditEntry
from streams.models import Grant, Key, Service
from synapse.auth import api_key
from tests.admin.pages import messages_of, no_rows, text_of, url
from tests.definitions import define

SEE = ("streams.view_stream", "streams.view_service", "streams.view_key")
ALL = (*SEE, "streams.add_key", "streams.change_key")


@pytest.fixture
def helox(db):
    return Service.objects.create(name="helox")


@pytest.fixture
def page(helox):
    return url("streams.service", "keys", helox.pk)


def shown_key(response):
    found = re.search(r"syn_live_\w{8}_\w{38}", response.content.decode())
    return found[0] if found else None


def test_a_key_is_shown_in_the_answer_to_issuing_it_and_on_no_other_page(client_who_may, helox, page):
    client = client_who_may(*ALL)

    answer = client.post(
        page, {"label": "cluster", "scopes": ["metrics:read"], "patterns": "publish:a read:b", "days": "30"}
    )

    key = shown_key(answer)
    row = Key.objects.get()
    assert api_key.digest(key).hex() == row.digest
    assert (row.label, row.scopes) == ("cluster", ["metrics:read", "publish:a", "read:b"])
    assert row.expires_at is not None
    assert "no-store" in answer["cache-control"]
    assert shown_key(client.get(page)) is None
    assert row.digest not in client.get(page).content.decode()


def test_the_page_shows_the_label_scopes_state_and_last_use_of_a_key(client_who_may, helox, page):
    client = client_who_may(*ALL)
    client.post(page, {"label": "<script>", "days": ""})

    text = text_of(client.get(page))

    assert "<script>" in text
    assert "all that is granted" in text
    assert "live" in text
    assert "never" in text


def test_a_key_with_an_invalid_scope_is_not_issued_and_the_reason_is_shown(client_who_may, helox, page):
    answer = client_who_may(*ALL).post(page, {"patterns": "everything"})

    assert "“everything” is no scope" in text_of(answer)
    assert not Key.objects.exists()


def test_a_key_is_revoked_after_a_confirmation(client_who_may, helox, page):
    client = client_who_may(*ALL)
    client.post(page)
    address = url("streams.service", "revoke_key", helox.pk, Key.objects.get().key_id)

    question = client.get(address)
    answer = client.post(address, follow=True)

    assert "This cannot be undone." in text_of(question)
    assert messages_of(answer) == [f"The key {Key.objects.get().key_id} was revoked."]
    assert Key.objects.get().state == "revoked"
    assert AuditEntry.objects.latest("id").actor == "person:someone"


def test_rotating_shows_the_new_key_and_leaves_the_old_one_for_a_day(client_who_may, helox, page):
    client = client_who_may(*ALL)
    old = shown_key(client.post(page))
    address = url("streams.service", "rotate_key", helox.pk, api_key.parse_key(old)[1])

    answer = client.post(address)

    assert shown_key(answer) != old
    assert [key.state for key in Key.objects.all()] == ["live", "live"]
    assert Key.objects.get(key_id=api_key.parse_key(old)[1]).expires_at is not None


def test_a_person_who_may_only_view_keys_cannot_issue_rotate_or_revoke_them(client_who_may, helox, page):
    client = client_who_may(*SEE)

    assert client.get(page).status_code == 200
    assert client.post(page).status_code == 403
    assert "Issue a key" not in text_of(client.get(page))
    key = Key.objects.create(service=helox, key_id="abcdefgh", digest="0" * 64)
    for name in ("rotate_key", "revoke_key"):
        assert client.post(url("streams.service", name, helox.pk, key.key_id)).status_code == 403


def test_a_person_who_may_view_services_only_sees_no_keys(client_who_may, helox, page):
    client = client_who_may("streams.view_service")

    assert client.get(page).status_code == 403
    assert page not in client.get(url("streams.service", "change", helox.pk)).content.decode()


def test_the_page_of_a_service_leads_to_its_keys(client_who_may, helox, page):
    assert page in client_who_may(*SEE).get(url("streams.service", "change", helox.pk)).content.decode()


def test_a_key_is_narrowed_to_ticked_grants_and_its_scopes_are_shown_as_sentences(client_who_may, helox, page):
    client = client_who_may(*ALL)
    for action, stream in (("publish", "training-events"), ("subscribe", "model-events")):
        Grant.objects.create(service=helox, action=action, stream=stream)
    form = {"streams": ["publish:training-events"], "scopes": ["metrics:read"]}

    assert "publish to training-events" in text_of(client.get(page))
    client.post(page, {**form, "reach": "all"})
    client.post(page, {**form, "reach": "some"})

    wide, narrow = Key.objects.order_by("pk")
    assert wide.scopes == ["metrics:read"]
    assert narrow.scopes == ["metrics:read", "publish:training-events"]
    assert "see the metrics publish to training-events" in text_of(client.get(page))


def test_a_new_key_comes_with_commands_that_use_it(client_who_may, helox, page):
    stream = define("training-events", {"training-started": {}})
    stream.event_types.update(example={"event_type": "training-started", "who": "it's me"})
    for action, name in (("publish", "training-events"), ("subscribe", "training-events"), ("publish", "all-*")):
        Grant.objects.create(service=helox, action=action, stream=name)

    answer = client_who_may(*ALL).post(page, {"reach": "some", "streams": ["publish:training-events"]})

    ((title, command),) = answer.context["commands"]
    assert title == "Publish to training-events"
    words = shlex.split(command)
    assert words[:2] == ["curl", "http://testserver/events/training-events"]
    assert f"Authorization: Bearer {shown_key(answer)}" in words
    assert json.loads(words[-1]) == {"event_type": "training-started", "who": "it's me"}


def test_a_service_is_added_with_a_grant_and_its_first_key(client_who_may, redis, db):
    define("orders")
    client = client_who_may(*ALL, "streams.add_service", "streams.add_grant", "streams.change_service")
    address = f"{url('streams.service', 'add')}?publish=orders"

    assert 'value="orders"' in client.get(address).content.decode()
    form = {"name": "shop", "grants-TOTAL_FORMS": "1", "grants-INITIAL_FORMS": "0", "_issue": "1"}
    row = {"grants-0-action": "publish", "grants-0-stream": "orders", "grants-0-event_type": "*"}
    answer = client.post(address, {**form, **row})

    assert api_key.digest(shown_key(answer)).hex() == Key.objects.get(service__name="shop").digest
    assert [str(grant.stream) for grant in Grant.objects.filter(service__name="shop")] == ["orders"]
    assert {entry.action for entry in AuditEntry.objects.filter(target__contains="shop")} >= {"create", "issue"}


def test_a_person_who_may_not_issue_keys_adds_a_service_without_one(client_who_may, db):
    client = client_who_may("streams.view_service", "streams.add_service")

    assert "Save and issue a key" not in text_of(client.get(url("streams.service", "add")))
    client.post(url("streams.service", "add"), {"name": "shop", "_issue": "1", **no_rows("grants")})

    assert Service.objects.filter(name="shop").exists()
    assert not Key.objects.exists()
