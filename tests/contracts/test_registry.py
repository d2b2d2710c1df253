"""The life of a contract's versions."""

import pytest
from django.core.exceptions import ValidationError

from contracts import registry
from contracts.models import Contract, ContractVersion, Schema
from core.models import AuditEntry
from synapse.auth.principal import Principal
from synapse.errors.contracts import (
    BadSchema,
    UnknownContract,
    UnknownVersion,
    WrongState,
)

ALICE = Principal(kind="person", name="editor")
BOB = Principal(kind="person", name="bob")
CAROL = Principal(kind="person", name="carol")
NUMBER = '{"type": "object", "properties": {"n": {"type": "number"}}}'
TEXT = '{"type": "object", "properties": {"n": {"type": ["number", "string"]}}}'

pytestmark = pytest.mark.django_db


def activated(subject, text):
    return registry.activate(registry.draft(subject, text, by=ALICE), by=ALICE)


def test_a_draft_has_no_number_and_is_checked_against_by_nobody():
    draft = registry.draft("orders.placed", NUMBER, by=ALICE)

    assert (draft.number, draft.schema, draft.state) == (None, None, "draft")
    assert registry.active_version(draft.contract) is None


def test_a_contract_has_one_draft_that_is_replaced():
    registry.draft("orders.placed", NUMBER, by=ALICE)
    registry.draft("orders.placed", TEXT, by=ALICE)

    assert [version.text for version in ContractVersion.objects.all()] == [TEXT]


def test_activation_numbers_versions_from_one():
    first = activated("orders.placed", NUMBER)
    second = activated("orders.placed", TEXT)

    assert (first.number, second.number) == (1, 2)
    assert registry.active_version(second.contract) == second
    assert registry.version(second.contract, 1).text == NUMBER


def test_equal_schema_texts_share_a_global_id():
    here = activated("orders.placed", NUMBER)
    there = activated("orders.changed", NUMBER)

    assert here.schema_id == there.schema_id
    assert Schema.objects.count() == 1


def test_activating_the_text_that_is_active_adds_no_version():
    first = activated("orders.placed", NUMBER)

    again = activated("orders.placed", NUMBER)

    assert again == first
    assert ContractVersion.objects.count() == 1


def test_deprecating_a_version_brings_back_the_one_before():
    first = activated("orders.placed", NUMBER)
    second = activated("orders.placed", TEXT)

    registry.deprecate(second, by=ALICE)

    assert registry.active_version(first.contract) == first


def test_only_drafts_are_activated_and_only_active_versions_deprecated():
    version = activated("orders.placed", NUMBER)

    with pytest.raises(WrongState):
        registry.activate(version, by=ALICE)
    registry.deprecate(version, by=ALICE)
    with pytest.raises(WrongState):
        registry.deprecate(version, by=ALICE)


def test_activating_and_deprecating_a_version_is_recorded_with_its_actor():
    version = activated("orders.placed", NUMBER)
    registry.deprecate(version, by=ALICE)

    entries = [(entry.actor, entry.action, entry.target) for entry in AuditEntry.objects.order_by("id")]
    assert entries == [
        ("person:editor", "draft", "contract orders.placed"),
        ("person:editor", "activate", "contract orders.placed"),
        ("person:editor", "deprecate", "contract version orders.placed version 1"),
    ]


def test_a_draft_is_recorded_with_what_stood_before():
    activated("orders.placed", NUMBER)
    draft = registry.draft("orders.placed", TEXT, by=ALICE)
    registry.draft("orders.placed", TEXT, by=BOB)
    registry.discard(draft, by=BOB)

    entries = AuditEntry.objects.order_by("id").values_list("actor", "action", "before", "after")[2:]
    assert list(entries) == [
        ("person:editor", "draft", {"schema": NUMBER}, {"schema": TEXT}),
        (str(BOB), "discard draft", {"schema": TEXT}, None),
    ]


def test_each_step_keeps_its_actor_and_its_time():
    draft = registry.draft("orders.placed", NUMBER, by=ALICE)
    version = registry.activate(draft, by=BOB)
    registry.deprecate(version, by=CAROL)
    registry.delete_version(version, by=BOB)

    kept = ContractVersion.objects.get()
    steps = [(kept.author, kept.created_at), (kept.activated_by, kept.activated_at)]
    steps += [(kept.deprecated_by, kept.deprecated_at), (kept.deleted_by, kept.deleted_at)]
    assert [who for who, _ in steps] == ["person:editor", "person:bob", "person:carol", "person:bob"]
    assert sorted(when for _, when in steps) == [when for _, when in steps]


def test_the_error_for_an_unknown_contract_or_version_names_it():
    with pytest.raises(UnknownContract, match="nowhere"):
        registry.contract("nowhere")
    with pytest.raises(UnknownVersion, match="no version 7"):
        registry.version(activated("orders.placed", NUMBER).contract, 7)


def test_a_text_that_is_no_schema_never_becomes_a_draft():
    with pytest.raises(BadSchema):
        registry.draft("orders.placed", '{"type": "objekt"}', by=ALICE)

    assert not Contract.objects.exists()


def test_the_admin_form_refuses_a_bad_schema_on_its_field():
    version = ContractVersion(contract=Contract.objects.create(subject="s"), draft_text='{"properties": 5}')

    with pytest.raises(ValidationError) as refused:
        version.full_clean()

    assert "at /properties" in refused.value.message_dict["draft_text"][0]


def test_a_text_can_become_the_active_version_at_once_and_leaves_the_draft_alone():
    draft = registry.draft("orders.placed", NUMBER, by=ALICE)

    registered = registry.register("orders.placed", TEXT, by=ALICE)
    again = registry.register("orders.placed", TEXT, by=ALICE)

    assert (registered.number, again) == (1, registered)
    assert registry.active_version(draft.contract) == registered
    draft.refresh_from_db()
    assert (draft.text, draft.state) == (NUMBER, "draft")
