"""The audit log shows each change with its actor, and never a secret."""

import pytest
from django.contrib.auth.models import Permission, User

from core import audit
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM, Principal
from tests.admin.pages import text_of, url

OLGA = Principal(kind="person", name="olga")


@pytest.fixture
def entry(db):
    return audit.record(
        SYSTEM, "change", "stream orders", before={"purpose": "old", "kept": 1}, after={"purpose": "new", "kept": 1}
    )


def test_the_audit_log_cannot_be_changed(admin_client, entry):
    assert admin_client.get(url("core.auditentry")).status_code == 200
    assert admin_client.get(url("core.auditentry", "add")).status_code == 403
    assert admin_client.post(url("core.auditentry", "delete", entry.pk), {"post": "yes"}).status_code == 403


def test_an_entry_shows_what_differs_and_only_that(admin_client, entry):
    text = text_of(admin_client.get(url("core.auditentry", "change", entry.pk)))

    assert "purpose 1 - old 1 + new" in text
    assert "kept" not in text


def test_names_in_the_audit_log_are_escaped(admin_client, db):
    audit.record(SYSTEM, "change", "stream <script>\u202e", before=None, after={"<b>": "</table><script>"})

    for page in (url("core.auditentry"), url("core.auditentry", "change", AuditEntry.objects.get().pk)):
        html = admin_client.get(page).content.decode()
        assert "stream <script>" not in html
        assert "</table><script>" not in html
        assert "\u202e" not in html


def person_form(**more):
    return {"username": "mika", "first_name": "", "last_name": "", "email": "", "is_active": "on", **more}


def test_a_person_is_added_and_the_audit_log_holds_no_password(admin_client):
    form = {"username": "mika", "usable_password": "true", "password1": "a-Long-1-word", "password2": "a-Long-1-word"}

    saved = admin_client.post(url("auth.user", "add"), form)

    assert saved.status_code == 302
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.after["password"]) == ("create", "user mika", "(secret)")


def test_rights_of_a_person_are_recorded(admin_client):
    user = User.objects.create_user("mika")
    right = Permission.objects.get(codename="view_stream")

    admin_client.post(url("auth.user", "change", user.pk), person_form(is_staff="on", user_permissions=[right.pk]))

    rights, staff = AuditEntry.objects.all()
    assert (staff.before["is_staff"], staff.after["is_staff"]) == (False, True)
    assert rights.before == {"roles": [], "user_permissions": []}
    assert rights.after == {"roles": [], "user_permissions": ["streams.view_stream"]}


def test_a_password_change_is_recorded_without_the_password(admin_client):
    user = User.objects.create_user("mika")

    admin_client.post(
        f"/admin/auth/user/{user.pk}/password/",
        {"usable_password": "true", "password1": "a-Long-1-word", "password2": "a-Long-1-word"},
    )

    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.before, entry.after) == ("change password", "user mika", None, None)


@pytest.mark.parametrize("words", ["redrive", "redrove", "Redrove orders", "redrive in part", "olga redrove", "orders"])
def test_a_search_for_a_verb_finds_the_actions_that_begin_with_it(admin_client, db, words):
    audit.record(OLGA, "redrive in part", "dead letters of stream orders/shop")
    audit.record(OLGA, "change", "stream parcels")

    found = admin_client.get(url("core.auditentry"), {"q": words}).context["cl"].result_list

    assert [entry.action for entry in found] == ["redrive in part"]


@pytest.mark.parametrize(
    ("past", "action"),
    [("changed", "change"), ("published", "publish"), ("discarded", "discard"), ("failed", "fail to log in")],
)
def test_a_search_for_the_past_tense_of_a_verb_finds_the_action(admin_client, db, past, action):
    audit.record(OLGA, action, "stream orders")
    audit.record(OLGA, "delete", "service red")

    for words, wanted in ((past, action), (f"{past} orders", action), ("red", "delete")):
        found = admin_client.get(url("core.auditentry"), {"q": words}).context["cl"].result_list
        assert [entry.action for entry in found] == [wanted]
