"""Whether a schema may be the next version is said while it is written, and again before it is activated."""

import pytest
from django.test import Client

from contracts import registry
from contracts.models import Contract
from contracts.registry import settings as rules
from synapse.auth.principal import SYSTEM
from tests.admin.pages import text_of, url
from tests.definitions import contract, define

CONTRACT = "contracts.contract"
FIRST = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
NEEDS_M = '{\n  "type": "object",\n  "required": [\n    "n",\n    "m"\n  ]\n}'
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def owner(db):
    """A contract whose version 1 requires `n`, and which events of a type keep."""
    define("orders", {"order-placed": FIRST})
    return registry.contract("orders.order-placed")


def said(client, owner, schema):
    """Return the verdict on a schema text that a person is writing."""
    address = url(CONTRACT, "verdict", owner.pk) if owner else url(CONTRACT, "verdict_of_new")
    answer = client.post(address, {"schema": schema})
    assert answer.status_code == 200
    return answer.context["judgement"], text_of(answer)


def test_the_verdict_on_an_incompatible_schema_has_places_a_witness_and_a_fix(admin_client, owner):
    judgement, text = said(admin_client, owner, NEEDS_M)

    assert judgement.outcome == "incompatible"
    assert "Not compatible." in text
    assert "“m”" in text
    assert "Fix:" in text
    assert "Version 1 accepts this, the new schema does not:" in text
    (found,) = [each for each in judgement.differences if each.difference.rule == "REQUIRED_PROPERTY_ADDED"]
    assert '"n":' in found.witness
    assert '"m"' not in found.witness


def test_the_verdict_on_a_compatible_schema_counts_the_changes_that_the_policy_lets_pass(admin_client, owner):
    text = '{"type": "object", "properties": {"n": {"type": "integer"}, "o": {"type": "string"}}, "required": ["n"]}'

    judgement, shown = said(admin_client, owner, text)

    assert judgement.outcome == "compatible"
    assert "It may be the next version (BACKWARD, LENIENT)." in shown
    assert "1 change that the lenient policy lets pass" in shown


def test_the_place_in_the_new_schema_leads_to_its_line(admin_client, owner):
    schema = '{\n  "type": "object",\n  "properties": {\n    "n": {"type": "integer", "maximum": 9}\n  }\n}'

    answer = admin_client.post(url(CONTRACT, "verdict", owner.pk), {"schema": schema})

    assert '<button type="button" class="s-jump" data-line="4">line 4</button>' in answer.content.decode()


@pytest.mark.parametrize(
    ("schema", "line", "sentence"),
    [
        ('{\n  "properties": {\n    "n": {"type": "integr"}\n  }\n}', 3, "Not a valid JSON Schema"),
        ('{\n  "required": ["n"\n}', 3, "(line 3, column 1)"),
        ('{"$ref": "https://example.org/other.json"}', None, "nothing is ever fetched"),
        ('{"description": "' + "x" * 70_000 + '"}', None, "at most 65536 are accepted"),
    ],
)
def test_an_invalid_schema_is_reported_with_its_line(admin_client, owner, schema, line, sentence):
    judgement, text = said(admin_client, owner, schema)

    assert (judgement.outcome, judgement.line) == ("invalid", line)
    assert sentence in text


def test_a_blank_schema_has_the_verdict_empty(admin_client, owner):
    assert said(admin_client, owner, " \n")[0].outcome == "empty"


def test_a_new_contract_has_nothing_to_be_compatible_with(admin_client):
    assert said(admin_client, None, NEEDS_M)[0].outcome == "first"


def test_a_contract_without_compatibility_compares_nothing(admin_client, owner):
    rules.change(owner, by=SYSTEM, compatibility="NONE")

    judgement, text = said(admin_client, owner, NEEDS_M)

    assert judgement.outcome == "unchecked"
    assert "It is not compared." in text


def test_a_request_for_a_verdict_makes_no_draft(admin_client, owner):
    said(admin_client, owner, NEEDS_M)

    assert not owner.versions.filter(state="draft").exists()
    assert admin_client.get(url(CONTRACT, "verdict", owner.pk)).status_code == 405


def test_hostile_text_in_a_schema_is_escaped_in_the_verdict(admin_client, owner):
    schema = '{"type": "object", "properties": {"%s": {"const": "%s"}}, "required": ["%s"]}' % ((HOSTILE,) * 3)

    answer = admin_client.post(url(CONTRACT, "verdict", owner.pk), {"schema": schema})

    assert HOSTILE not in answer.content.decode()
    assert HOSTILE in text_of(answer).replace("\\", "")


def test_a_person_who_may_not_change_contracts_gets_no_verdict(client_who_may, owner):
    client = client_who_may("contracts.view_contract")

    assert client.post(url(CONTRACT, "verdict", owner.pk), {"schema": NEEDS_M}).status_code == 403
    assert client.post(url(CONTRACT, "verdict_of_new"), {"schema": NEEDS_M}).status_code == 403


def test_a_request_for_a_verdict_from_another_site_is_refused(owner, admin_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert client.post(url(CONTRACT, "verdict", owner.pk), {"schema": NEEDS_M}).status_code == 403


def test_a_draft_that_is_not_compatible_is_not_activated_and_the_page_says_what_to_do(admin_client, owner):
    registry.draft(owner.subject, NEEDS_M, by=SYSTEM)

    page = admin_client.get(url(CONTRACT, "activate", owner.pk))
    posted = admin_client.post(url(CONTRACT, "activate", owner.pk), {"digest": page.context["digest"]}, follow=True)

    text = text_of(page)
    assert "The draft of “orders.order-placed” cannot be activated" in text
    assert "Version 1 accepts this, the new schema does not:" in text
    assert "Change the schema as each says, or what the contract protects" in text
    assert "The schema is not BACKWARD-compatible with version 1" in text_of(posted)
    assert registry.active_version(owner).number == 1


def test_the_verdict_for_a_transitive_contract_names_the_incompatible_version(admin_client, db):
    owner = contract("orders.order-placed", {"properties": {"n": {"type": "integer"}}}).contract
    rules.change(owner, by=SYSTEM, compatibility="NONE")
    contract("orders.order-placed", {"properties": {"n": {"type": "string"}}})
    rules.change(Contract.objects.get(), by=SYSTEM, compatibility="BACKWARD_TRANSITIVE")

    judgement, text = said(admin_client, owner, '{"properties": {"n": {"type": "string"}}}')

    assert {each.difference.version for each in judgement.differences} == {1}
    assert "Version 1 accepts this, the new schema does not:" in text
