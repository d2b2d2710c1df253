"""A version that breaks its contract's compatibility is never registered."""

import pytest

from contracts import registry
from contracts.models import Contract, ContractVersion, Schema
from contracts.registry import settings
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from synapse.errors.contracts import Incompatible, ReadOnly

OPEN = '{"type": "object"}'
NEEDS_N = '{"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}}}'
NEEDS_N_AND_M = '{"type": "object", "required": ["n", "m"], "properties": {"n": {"type": "number"}, "m": {}}}'
N_IS_TEXT = '{"type": "object", "required": ["n"], "properties": {"n": {"type": "string"}}}'

pytestmark = pytest.mark.django_db


def register(text, subject="orders.placed"):
    return registry.register(subject, text, by=SYSTEM)


def configure(subject=None, **values):
    owner = None if subject is None else registry.contract(subject)
    settings.change(owner, by=SYSTEM, **values)


def test_registering_what_the_default_forbids_says_why_and_leaves_nothing_behind():
    register(OPEN)
    audited = AuditEntry.objects.count()

    with pytest.raises(Incompatible) as refused:
        register(NEEDS_N)

    (difference, *_) = refused.value.differences
    assert (difference["version"], difference["direction"]) == (1, "BACKWARD")
    assert "n" not in difference["witness"]
    assert {"rule", "old_pointer", "new_pointer", "description", "fix"} <= difference.keys()
    assert (refused.value.status, refused.value.old_text) == (409, OPEN)
    assert (ContractVersion.objects.count(), Schema.objects.count(), AuditEntry.objects.count()) == (1, 1, audited)


def test_activating_what_is_not_compatible_leaves_the_draft_a_draft():
    register(OPEN)
    draft = registry.draft("orders.placed", NEEDS_N, by=SYSTEM)

    with pytest.raises(Incompatible):
        registry.activate(draft, by=SYSTEM)

    draft.refresh_from_db()
    assert (draft.state, draft.number, draft.draft_text) == ("draft", None, NEEDS_N)


def test_an_incompatible_version_is_registered_when_compatibility_is_none():
    register(OPEN)

    configure("orders.placed", compatibility="NONE")

    assert register(NEEDS_N).number == 2


def test_the_compatibility_of_a_contract_overrides_that_of_the_registry():
    configure(compatibility="NONE")
    register(OPEN)
    register(OPEN, subject="orders.sent")
    configure("orders.sent", compatibility="BACKWARD")

    assert register(NEEDS_N).number == 2
    with pytest.raises(Incompatible):
        register(NEEDS_N, subject="orders.sent")


def test_forward_protects_readers_of_the_old_version():
    register(NEEDS_N)
    configure("orders.placed", compatibility="FORWARD")

    with pytest.raises(Incompatible) as refused:
        register(OPEN)

    assert refused.value.differences[0]["direction"] == "FORWARD"


def test_only_the_transitive_modes_look_behind_the_last_version():
    configure(compatibility="NONE")
    for subject in ("orders.placed", "orders.sent"):
        register(N_IS_TEXT, subject)
        register(OPEN, subject)
        register(NEEDS_N, subject)
    configure(compatibility="BACKWARD")
    configure("orders.sent", compatibility="BACKWARD_TRANSITIVE")
    either = '{"type": "object", "properties": {"n": {"type": ["number", "null"]}}}'

    assert register(either).number == 4
    with pytest.raises(Incompatible) as refused:
        register(either, "orders.sent")

    assert 1 in {difference["version"] for difference in refused.value.differences}


def test_a_version_that_was_taken_back_is_not_what_the_next_one_follows():
    register(OPEN)
    configure("orders.placed", compatibility="NONE")
    registry.deprecate(register(N_IS_TEXT), by=SYSTEM)
    configure("orders.placed", compatibility="")
    may_have_n = '{"type": "object", "properties": {"n": {"type": "number"}}}'

    assert register(may_have_n).number == 3


def test_a_new_optional_property_is_a_break_under_the_strict_policy_alone():
    register(OPEN)
    register(OPEN, subject="orders.sent")
    configure("orders.sent", policy="STRICT")
    may_have_n = '{"type": "object", "properties": {"n": {"type": "number"}}}'

    assert register(may_have_n).number == 2
    with pytest.raises(Incompatible):
        register(may_have_n, subject="orders.sent")


@pytest.mark.parametrize("step", ["register", "activate", "deprecate", "delete", "configure"])
def test_a_contract_that_is_read_only_is_not_changed(step):
    version = register(OPEN)
    draft = registry.draft("orders.placed", '{"title": "x"}', by=SYSTEM)
    configure("orders.placed", mode="READONLY")
    steps = {
        "register": lambda: register('{"title": "y"}'),
        "activate": lambda: registry.activate(draft, by=SYSTEM),
        "deprecate": lambda: registry.deprecate(version, by=SYSTEM),
        "delete": lambda: registry.delete_version(version, by=SYSTEM),
        "configure": lambda: configure("orders.placed", compatibility="NONE"),
    }

    with pytest.raises(ReadOnly, match="READONLY"):
        steps[step]()

    assert [found.state for found in ContractVersion.objects.order_by("pk")] == ["active", "draft"]
    assert Contract.objects.get().compatibility == ""


def test_an_existing_version_can_be_ensured_while_the_registry_is_read_only():
    version = register(OPEN)
    configure(mode="READONLY")

    assert registry.find_or_register("orders.placed", registry.Content(text=OPEN), by=SYSTEM) == version


def test_the_readonly_override_mode_of_the_registry_overrules_the_mode_of_a_contract():
    register(OPEN)
    configure("orders.placed", mode="READWRITE")

    configure(mode="READONLY")
    assert register('{"title": "x"}').number == 2

    configure(mode="READONLY_OVERRIDE")
    with pytest.raises(ReadOnly):
        register('{"title": "y"}')


def test_every_change_of_the_settings_is_recorded():
    register(OPEN)
    AuditEntry.objects.all().delete()

    configure(compatibility="FULL")
    configure("orders.placed", compatibility="NONE")
    configure("orders.placed", compatibility="NONE")

    entries = AuditEntry.objects.order_by("id").values_list("action", "target", "before", "after")
    assert list(entries) == [
        ("configure", "registry settings registry", {"compatibility": "BACKWARD"}, {"compatibility": "FULL"}),
        ("configure", "contract orders.placed", {"compatibility": ""}, {"compatibility": "NONE"}),
    ]
