"""Contracts in the admin: drafts are edited, viewed, activated and discarded; earlier versions can be compared."""

import re
from html import unescape

import orjson
import pytest

from contracts import registry
from contracts.models import Contract, ContractVersion
from contracts.registry import Reference
from contracts.registry import settings as registry_settings
from core.models import AuditEntry
from streams.models import EventType
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from tests.admin.pages import messages_of, text_of, timeless, url
from tests.definitions import contract, define
from tests.tables import for_each

pytestmark = pytest.mark.usefixtures("any_schema_may_follow")

CONTRACT = "contracts.contract"
EVENT = b'{"event_type":"order-placed","n":1}'
NEEDS_M = '{"required": ["m"]}'


@pytest.fixture
def owner(db):
    """A contract that events of a type keep, at version 1."""
    define("orders", {"order-placed": {"required": ["n"]}})
    return registry.contract("orders.order-placed")


def publish(client, event=EVENT):
    holder.refresh()
    return client.post("/events/orders", event, content_type="application/json")


def save(client, owner, schema, **more):
    form = {"description": "", "schema": schema, **more}
    return client.post(url(CONTRACT, "change", owner.pk), form, follow=True)


def activate(client, owner):
    page = client.get(url(CONTRACT, "activate", owner.pk))
    return client.post(url(CONTRACT, "activate", owner.pk), {"digest": page.context["digest"]}, follow=True)


def is_gone(page):
    return messages_of(page) == ["This page does not exist, or not any more."]


def hidden_in(page, name):
    """Return what a hidden field of a page holds."""
    return unescape(re.search(rf'name="{name}" value="([^"]*)"', page.content.decode())[1])


def latest_change():
    entry = AuditEntry.objects.first()
    return entry.actor, entry.action, entry.target


def errors_of(page):
    return page.context["adminform"].form.errors["schema"]


def test_a_draft_that_is_only_saved_is_not_enforced(admin_client, redis, owner):
    page = save(admin_client, owner, NEEDS_M)

    assert publish(admin_client).status_code == 201
    assert owner.versions.get(state="draft").draft_text == NEEDS_M
    assert messages_of(page) == ["The draft of “orders.order-placed” is saved. It takes effect when it is activated."]
    assert latest_change() == ("person:admin", "draft", "contract orders.order-placed")


def test_an_activated_draft_is_enforced_from_the_next_publish(admin_client, redis, owner):
    save(admin_client, owner, NEEDS_M, _activate="")

    page = activate(admin_client, owner)

    assert publish(admin_client).status_code == 422
    assert messages_of(page) == ["Version 2 is active: events are checked against it from now on."]
    assert latest_change() == ("person:admin", "activate", "contract orders.order-placed")


def test_an_activation_asks_for_confirmation_and_shows_its_effects(admin_client, redis, owner):
    EventType.objects.update(example=orjson.loads(EVENT))

    page = save(admin_client, owner, NEEDS_M, _activate="")

    text = text_of(page)
    assert "Check events against this draft of “orders.order-placed” from now on?" in text
    assert "It becomes version 2" in text
    assert "“orders” refuses “order-placed” events that break it." in text
    assert "The example of orders/order-placed breaks this draft: The event must have the property “m”." in text
    assert registry.active_version(owner).number == 1


def test_a_draft_that_changed_after_the_confirmation_page_has_to_be_confirmed_again(admin_client, owner):
    save(admin_client, owner, NEEDS_M)
    digest = admin_client.get(url(CONTRACT, "activate", owner.pk)).context["digest"]
    registry.draft(owner.subject, '{"required": ["other"]}', by=SYSTEM)

    page = admin_client.post(url(CONTRACT, "activate", owner.pk), {"digest": digest}, follow=True)

    assert "The draft was changed meanwhile" in messages_of(page)[0]
    assert "Check events against this draft" in text_of(page)
    assert registry.active_version(owner).number == 1


def test_the_confirmation_pages_of_a_draft_change_nothing(admin_client, owner):
    save(admin_client, owner, NEEDS_M)

    for page in ("activate", "discard"):
        assert admin_client.get(url(CONTRACT, page, owner.pk)).status_code == 200

    assert owner.versions.filter(state="draft").exists()
    assert registry.active_version(owner).number == 1


@for_each(
    "schema, error",
    [
        ('{\n  "properties": {\n    "n": {"type": "integr"}\n  }\n}', "Line 3, /properties/n/type: Not a valid JSON"),
        ('{\n  "properties": 5\n}', "Line 2, /properties: Not a valid JSON Schema"),
        ('{\n  "required": ["n"\n}', "(line 3, column 1)"),
        (
            '{"required": ["n"], "required": ["m"]}',
            "The key “required” appears twice".replace("“", '"').replace("”", '"'),
        ),
        ("[]", "A contract's schema is a JSON object."),
        ('{"$ref": "https://example.org/other.json"}', "nothing is ever fetched"),
        ('{\n "properties": {"n": {"pattern": "(?=x)"}}\n}', "Line 2, /properties/n/pattern: The pattern"),
        ("", "Write a schema. To take the draft back, discard it."),
    ],
)
def test_the_field_of_a_refused_schema_shows_the_reason_and_the_place(admin_client, owner, schema, error):
    page = save(admin_client, owner, schema)

    assert error in errors_of(page)[0]
    assert not owner.versions.filter(state="draft").exists()


def test_the_editor_marks_the_line_that_was_refused(admin_client, owner):
    page = save(admin_client, owner, '{\r\n  "required": ["n"]\r\n  "properties": {}\r\n}')

    assert 'data-error-lines="3"' in page.content.decode()


def test_line_ends_of_a_browser_do_not_make_another_schema(admin_client, owner):
    text = registry.active_version(owner).text

    page = save(admin_client, owner, text.replace("\n", "\r\n"))

    assert "as it was, so there is nothing to activate" in messages_of(page)[0]
    assert not owner.versions.filter(state="draft").exists()


def test_saving_an_unchanged_schema_field_keeps_a_draft_written_meanwhile_by_others(admin_client, owner):
    shown = hidden_in(admin_client.get(url(CONTRACT, "change", owner.pk)), "initial-schema")
    registry.register(owner.subject, '{"title": "another\'s"}', by=SYSTEM)
    registry.draft(owner.subject, NEEDS_M, by=SYSTEM)

    save(admin_client, owner, shown, **{"initial-schema": shown, "description": "In words"})

    assert registry.draft_of(owner).draft_text == NEEDS_M
    assert Contract.objects.get().description == "In words"


def test_a_contract_is_made_with_its_first_draft(admin_client):
    form = {"subject": "orders.order-placed", "description": "Orders", "schema": NEEDS_M, "_activate": ""}

    page = admin_client.post(url(CONTRACT, "add"), form, follow=True)

    assert "It becomes version 1" in text_of(page)
    assert Contract.objects.get().versions.get().draft_text == NEEDS_M
    assert [entry.action for entry in AuditEntry.objects.all()] == ["draft", "create"]


def test_a_contract_is_made_from_an_event_types_page(admin_client):
    page = admin_client.get(url(CONTRACT, "add"), {"_popup": "1"})
    form = {"subject": "shared", "description": "", "schema": NEEDS_M, "_popup": "1", "_save": ""}

    saved = admin_client.post(url(CONTRACT, "add"), form)

    assert (page.status_code, saved.status_code) == (200, 200)
    assert Contract.objects.get().versions.get().draft_text == NEEDS_M


def test_a_draft_is_discarded_and_stays_in_the_audit_log(admin_client, owner):
    save(admin_client, owner, NEEDS_M)

    admin_client.post(url(CONTRACT, "discard", owner.pk))

    assert not owner.versions.filter(state="draft").exists()
    assert AuditEntry.objects.first().before == {"schema": NEEDS_M}


def test_a_version_is_deprecated_after_a_confirmation(admin_client, owner):
    asked = admin_client.get(url(CONTRACT, "deprecate", owner.pk, 1))

    assert "Events are not checked then." in text_of(asked)
    assert registry.active_version(owner).number == 1

    admin_client.post(url(CONTRACT, "deprecate", owner.pk, 1))

    assert registry.active_version(owner) is None


def test_a_second_deprecation_of_a_version_is_refused_with_the_reason(admin_client, owner):
    admin_client.post(url(CONTRACT, "deprecate", owner.pk, 1))

    page = admin_client.post(url(CONTRACT, "deprecate", owner.pk, 1), follow=True)

    assert messages_of(page)[-1].endswith("only an active version can be deprecated.")


def test_previous_versions_are_listed_with_author_age_and_state(admin_client, owner):
    save(admin_client, owner, NEEDS_M)
    activate(admin_client, owner)
    save(admin_client, owner, '{"required": ["o"]}')

    text = timeless(text_of(admin_client.get(url(CONTRACT, "change", owner.pk))))

    assert "Draft draft now person:admin — — Difference" in text
    assert "Version 2 active checked against now person:admin now person:admin — Difference" in text
    assert "Version 1 active now synapse now synapse —" in text


def test_any_two_versions_are_compared(admin_client, owner):
    contract(owner.subject, {"required": ["n", "m"]})
    contract(owner.subject, {"required": ["m"]})
    save(admin_client, owner, '{"required":["o"]}')

    newest = admin_client.get(url(CONTRACT, "differences", owner.pk))
    chosen = admin_client.get(url(CONTRACT, "differences", owner.pk), {"old": "1", "new": "2"})

    assert [(row.kind, row.changed) for row in newest.context["rows"] if row.changed] == [("old", "m"), ("new", "o")]
    assert [row.before.strip() for row in chosen.context["rows"] if row.kind == "new"] == ['"n",', '"m"']
    assert is_gone(admin_client.get(url(CONTRACT, "differences", owner.pk), {"old": "9"}, follow=True))


def test_a_different_layout_is_no_difference(admin_client, owner):
    save(admin_client, owner, '{"required":["n"]}')

    page = admin_client.get(url(CONTRACT, "differences", owner.pk))

    assert "They are equivalent; only the layout of the text differs." in text_of(page)


def test_a_version_is_shown_and_cannot_be_edited(admin_client, owner):
    page = admin_client.get(url(CONTRACT, "version", owner.pk, 1))

    assert '"required"' in text_of(page)
    assert ContractVersion.objects.get().text == registry.active_version(owner).text
    assert is_gone(admin_client.get(url(CONTRACT, "version", owner.pk, 7), follow=True))
    assert is_gone(admin_client.get(url(CONTRACT, "version", 99, 1), follow=True))


def test_a_contract_that_an_event_type_uses_is_not_deleted_and_the_pages_say_why(admin_client, owner):
    many = {"action": "delete_selected", "_selected_action": [owner.pk]}
    asked = [admin_client.get(url(CONTRACT, "delete", owner.pk)), admin_client.post(url(CONTRACT), many)]
    done = [
        admin_client.post(url(CONTRACT, "delete", owner.pk), {"post": "yes"}),
        admin_client.post(url(CONTRACT), {**many, "post": "yes"}),
    ]

    for page in (*asked, *done):
        assert "is used by the event type “orders/order-placed”: it cannot be deleted. Take the contract" in text_of(
            page
        )
        assert "permission" not in text_of(page)
    assert Contract.objects.exists()


def test_a_contract_that_another_one_refers_to_is_not_deleted_and_the_page_says_why(admin_client, owner):
    EventType.objects.update(contract=None)
    refers = Reference(name="other", subject=owner.subject, version=1)
    registry.register("refers", '{"$ref": "other"}', by=SYSTEM, references=[refers])

    page = admin_client.post(url(CONTRACT, "delete", owner.pk), {"post": "yes"})

    assert "cannot be deleted: schemas of “refers” refer to it." in text_of(page)
    assert Contract.objects.filter(pk=owner.pk).exists()


def test_a_contract_whose_versions_refer_to_each_other_is_deleted(admin_client, owner):
    EventType.objects.update(contract=None)
    registry_settings.change(owner, by=SYSTEM, compatibility="NONE")
    refers = Reference(name="before", subject=owner.subject, version=1)
    registry.register(owner.subject, '{"$ref": "before"}', by=SYSTEM, references=[refers])

    admin_client.post(url(CONTRACT, "delete", owner.pk), {"post": "yes"})

    assert not Contract.objects.exists()


def test_a_deleted_contract_leaves_its_version_numbers_taken(admin_client, owner):
    EventType.objects.update(contract=None)

    admin_client.post(url(CONTRACT, "delete", owner.pk), {"post": "yes"})

    assert not Contract.objects.exists()
    again = registry.register(owner.subject, NEEDS_M, by=SYSTEM)
    assert again.number == 2
    entry = AuditEntry.objects.get(action="delete", target=f"contract {owner.subject}")
    assert list(entry.before["versions"]) == ["1"]


def test_a_contract_of_a_registry_that_is_read_only_is_not_deleted(admin_client, owner):
    EventType.objects.update(contract=None)
    registry_settings.change(None, by=SYSTEM, mode="READONLY")

    page = admin_client.post(url(CONTRACT, "delete", owner.pk), {"post": "yes"})

    assert page.status_code == 403
    assert "READONLY" in text_of(page)
    assert Contract.objects.exists()


def test_a_contract_with_marks_is_deleted_only_by_people_who_may_see_pii(client_who_may, owner):
    EventType.objects.update(contract=None)
    registry_settings.change(owner, by=SYSTEM, compatibility="NONE")
    registry.register(owner.subject, '{"properties": {"name": {"x-pii": true}}}', by=SYSTEM)
    rights = ("contracts.view_contract", "contracts.delete_contract")

    refused = client_who_may(*rights).post(url(CONTRACT, "delete", owner.pk), {"post": "yes"})

    assert refused.status_code == 403
    assert "the scope “personal:read” is missing" in text_of(refused)
    assert Contract.objects.exists()


@pytest.mark.parametrize(("page", "arguments"), [("activate", ()), ("discard", ()), ("deprecate", (1,))])
def test_a_person_who_may_only_view_contracts_cannot_activate_discard_or_deprecate(
    client_who_may, owner, page, arguments
):
    registry.draft(owner.subject, NEEDS_M, by=SYSTEM)
    client = client_who_may("contracts.view_contract")

    looked_at = client.get(url(CONTRACT, "change", owner.pk))
    assert looked_at.status_code == 200
    assert "Save draft" not in text_of(looked_at)
    assert client.get(url(CONTRACT, "differences", owner.pk)).status_code == 200
    assert client.post(url(CONTRACT, page, owner.pk, *arguments)).status_code == 403
    assert {version.state for version in owner.versions.all()} == {"active", "draft"}


def test_a_person_who_may_not_view_contracts_sees_no_version_or_differences(client_who_may, owner):
    client = client_who_may("streams.view_stream")

    assert client.get(url(CONTRACT, "version", owner.pk, 1)).status_code == 403
    assert client.get(url(CONTRACT, "differences", owner.pk)).status_code == 403


def test_a_list_of_twenty_contracts_takes_at_most_eight_queries(admin_client, db, django_assert_max_num_queries):
    for place in range(20):
        contract(f"subject-{place:02}", {"required": ["n"]})

    with django_assert_max_num_queries(8):
        text = text_of(admin_client.get(url(CONTRACT)))

    assert "subject-19" in text
