"""Rolling back, and deleting versions, in the admin: each is asked first, checked, and recorded."""

import pytest

from contracts import registry
from contracts.models import ContractVersion
from contracts.registry import settings as rules
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from tests.admin.pages import messages_of, text_of, timeless, url
from tests.definitions import contract

CONTRACT = "contracts.contract"
ALL_STEPS = ("contracts.view_contract", "contracts.change_contract", "contracts.delete_contract")


@pytest.fixture
def owner(db):
    """A contract with two versions: the first takes integers, the second any number."""
    contract("orders.order-placed", {"properties": {"n": {"type": "integer"}}})
    return contract("orders.order-placed", {"properties": {"n": {"type": "number"}}}).contract


def step(client, owner, page, number, **form):
    return client.post(url(CONTRACT, page, owner.pk, number), form, follow=True)


def test_rolling_back_makes_the_old_schema_a_new_version(admin_client, owner):
    rules.change(owner, by=SYSTEM, compatibility="NONE")

    asked = admin_client.get(url(CONTRACT, "restore", owner.pk, 1))
    page = step(admin_client, owner, "restore", 1)

    assert "Version 1 stays unchanged; its schema becomes a new version." in text_of(asked)
    assert messages_of(page) == ["Version 3 is active, with the schema of version 1."]
    active = registry.active_version(owner)
    assert (active.number, active.schema_id) == (3, registry.version(owner, 1).schema_id)
    assert AuditEntry.objects.first().action == "roll back"


def test_a_rollback_to_an_incompatible_version_is_refused(admin_client, owner):
    asked = admin_client.get(url(CONTRACT, "restore", owner.pk, 1))
    page = step(admin_client, owner, "restore", 1)

    assert "“orders.order-placed” cannot go back to version 1" in text_of(asked)
    assert "Version 2 accepts this, the new schema does not:" in text_of(asked)
    assert "not BACKWARD-compatible with version 2" in messages_of(page)[0]
    assert registry.active_version(owner).number == 2
    assert not AuditEntry.objects.filter(action="roll back").exists()


def test_the_active_version_cannot_be_restored(admin_client, owner):
    page = step(admin_client, owner, "restore", 2)

    assert messages_of(page) == ["Version 2 has this schema already, and is active."]


def test_a_version_is_deleted_after_a_confirmation(admin_client, owner):
    asked = admin_client.get(url(CONTRACT, "delete_version", owner.pk, 2))
    page = step(admin_client, owner, "delete_version", 2)

    assert "Events are checked against version 1 then." in text_of(asked)
    assert messages_of(page) == ["Version 2 is deleted."]
    assert registry.active_version(owner).number == 1
    assert "Version 2 deleted" in text_of(page)
    assert AuditEntry.objects.first().action == "delete"


def test_a_deleted_version_is_deleted_permanently_after_another_confirmation(admin_client, owner):
    step(admin_client, owner, "delete_version", 1)

    asked = admin_client.get(url(CONTRACT, "delete_version", owner.pk, 1))
    page = step(admin_client, owner, "delete_version", 1, for_good="yes")

    assert "The number 1 stays taken." in text_of(asked)
    assert messages_of(page)[-1] == "Version 1 is deleted for good."
    assert not ContractVersion.objects.filter(number=1).exists()


def test_a_second_click_does_not_delete_a_version_permanently(admin_client, owner):
    step(admin_client, owner, "delete_version", 1)

    page = step(admin_client, owner, "delete_version", 1)

    assert "is deleted already" in messages_of(page)[-1]
    assert ContractVersion.objects.filter(number=1).exists()


def test_a_version_shows_the_actor_and_the_time_of_each_step(admin_client, owner):
    admin_client.post(url(CONTRACT, "deprecate", owner.pk, 2))

    text = timeless(text_of(admin_client.get(url(CONTRACT, "version", owner.pk, 2))))

    assert "Written now synapse Activated now synapse Deprecated now person:admin" in text


@pytest.mark.parametrize(
    ("page", "right"), [("restore", "contracts.change_contract"), ("delete_version", "contracts.delete_contract")]
)
def test_a_person_without_the_permission_for_a_step_cannot_take_it(client_who_may, owner, page, right):
    client = client_who_may(*(each for each in ALL_STEPS if each != right))

    assert client.get(url(CONTRACT, page, owner.pk, 1)).status_code == 403
    assert client.post(url(CONTRACT, page, owner.pk, 1)).status_code == 403
    assert registry.numbered_versions(owner).count() == 2


@pytest.mark.parametrize("page", ["restore", "delete_version"])
def test_a_step_for_an_unknown_version_is_answered_with_a_message(admin_client, owner, page):
    answer = admin_client.get(url(CONTRACT, page, owner.pk, 9), follow=True)

    assert messages_of(answer) == ["This page does not exist, or not any more."]
