"""Compatibility, policy and mode in the admin: of one contract, and of all that do not say otherwise."""

import pytest

from contracts.models import Contract, RegistrySettings
from contracts.registry import settings as rules
from core.models import AuditEntry
from synapse.auth.principal import SYSTEM
from tests.admin.pages import messages_of, text_of, url
from tests.definitions import contract

CONTRACT = "contracts.contract"
INHERITED = {"compatibility": "", "policy": "", "mode": ""}
USUAL = {"compatibility": "BACKWARD", "policy": "LENIENT", "mode": "READWRITE"}


@pytest.fixture
def owner(db):
    return contract("orders.order-placed", {"properties": {"n": {"type": "integer"}}}).contract


def set_rules(client, owner, **values):
    return client.post(url(CONTRACT, "rules", owner.pk), INHERITED | values, follow=True)


def set_for_all(client, **values):
    return client.post(url(CONTRACT, "rules_of_all"), USUAL | values, follow=True)


def test_a_contract_shows_the_rules_that_it_inherits(admin_client, owner):
    text = text_of(admin_client.get(url(CONTRACT, "change", owner.pk)))

    assert "Backward: it reads what the last version wrote as for all" in text


def test_rules_set_for_one_contract_are_recorded(admin_client, owner):
    page = set_rules(admin_client, owner, compatibility="FULL", policy="STRICT")

    owner.refresh_from_db()
    assert (owner.compatibility, owner.policy, owner.mode) == ("FULL", "STRICT", "")
    assert "Full: both ways with the last version Policy" in text_of(page)
    assert AuditEntry.objects.first().after == {"compatibility": "FULL", "policy": "STRICT"}


def test_a_contract_returns_to_the_default_rules(admin_client, owner):
    set_rules(admin_client, owner, compatibility="NONE")

    set_rules(admin_client, owner)

    assert Contract.objects.get().compatibility == ""


def test_the_defaults_of_all_contracts_are_changed_on_their_own_page(admin_client, owner):
    set_rules(admin_client, owner, policy="STRICT")

    page = set_for_all(admin_client, compatibility="FORWARD")

    assert RegistrySettings.objects.get().compatibility == "FORWARD"
    assert "orders.order-placed strict: as other registries answer" in text_of(page)
    assert rules.rules_of(owner)[0] == "FORWARD"


def test_a_contract_that_is_read_only_can_be_opened_again_together_with_other_rules(admin_client, owner):
    set_rules(admin_client, owner, compatibility="FULL", mode="READONLY")
    refused = set_rules(admin_client, owner, compatibility="NONE", mode="READONLY")

    set_rules(admin_client, owner, compatibility="NONE", mode="READWRITE")

    assert "can be read and not changed" in messages_of(refused)[-1]
    owner.refresh_from_db()
    assert (owner.compatibility, owner.mode) == ("NONE", "READWRITE")


@pytest.mark.parametrize(
    "values", [{"compatibility": "SIDEWAYS"}, {"mode": "READONLY_OVERRIDE"}, {"policy": "x" * 999}]
)
def test_an_unknown_compatibility_mode_or_policy_is_refused(admin_client, owner, values):
    page = set_rules(admin_client, owner, **values)

    assert "Select a valid choice" in text_of(page)
    assert not AuditEntry.objects.filter(action="configure").exists()


def test_the_page_warns_when_the_whole_registry_is_read_only(admin_client, owner):
    rules.change(None, by=SYSTEM, mode="READONLY_OVERRIDE")

    text = text_of(admin_client.get(url(CONTRACT, "rules", owner.pk)))

    assert "The whole registry is read only now, regardless of the contracts." in text


def test_a_person_who_may_only_view_contracts_cannot_change_rules(client_who_may, owner):
    client = client_who_may("contracts.view_contract")

    assert client.post(url(CONTRACT, "rules", owner.pk), INHERITED | {"compatibility": "NONE"}).status_code == 403
    assert "disabled" in client.get(url(CONTRACT, "rules_of_all")).content.decode()
    assert client.post(url(CONTRACT, "rules_of_all"), USUAL | {"compatibility": "NONE"}).status_code == 403
    assert not RegistrySettings.objects.exists()


def test_a_person_who_may_not_view_contracts_cannot_see_the_rules_pages(client_who_may, owner):
    client = client_who_may("streams.view_stream")

    assert client.get(url(CONTRACT, "rules", owner.pk)).status_code == 403
    assert client.get(url(CONTRACT, "rules_of_all")).status_code == 403
