"""Registering and looking up, as registries answer it."""

import json

import pytest

from contracts.models import ContractVersion, Schema
from core.models import AuditEntry
from tests.contracts.registry_api.conftest import schema
from tests.tables import for_each

OPEN = {"type": "object"}
MAY_N = {"type": "object", "properties": {"n": {"type": "number"}}}
NEEDS_N = {**MAY_N, "required": ["n"]}


def test_a_schema_becomes_the_next_version(registry):
    first, second = registry.register("orders-value", OPEN), registry.register("orders-value", MAY_N)

    assert (first.status, second.json["version"]) == (200, 2)
    assert first.json["schema"] == json.dumps(OPEN)
    assert first.json.keys() == {"id", "version", "guid", "schemaType", "schema", "ts"}


def test_registering_again_answers_the_same_and_changes_nothing(registry, registered):
    first = registry.register("orders-value", OPEN).json
    registered("orders-value", MAY_N)
    audited = AuditEntry.objects.count()

    assert registry.register("orders-value", OPEN).json == first
    assert registry.register("orders-value", {"type": "object"}).json == first
    assert ContractVersion.objects.count() == 2
    assert AuditEntry.objects.count() == audited


def test_the_same_schema_has_one_id_under_every_subject(registered):
    assert registered("a", OPEN) == registered("b", OPEN)


def test_layout_and_the_order_of_keys_make_no_version(registry):
    registry.register("a", NEEDS_N)
    other = json.dumps(dict(reversed(NEEDS_N.items())), indent=4)

    again = registry("POST", "/subjects/a/versions", {"schema": other, "schemaType": "JSON"})

    assert again.json["version"] == 1
    assert again.json["schema"] == json.dumps(NEEDS_N)


def test_a_normalized_schema_is_kept_without_layout(registry):
    answer = registry("POST", "/subjects/a/versions?normalize=True", schema(NEEDS_N))

    assert answer.json["schema"] == json.dumps(NEEDS_N, sort_keys=True, separators=(",", ":"))


def test_an_incompatible_schema_is_answered_409_with_rule_witness_and_fix(registry, registered):
    registered("orders-value", OPEN)

    answer = registry.register("orders-value", NEEDS_N)

    assert (answer.status, answer.json["error_code"]) == (409, 40901)
    message = answer.json["message"]
    assert message.startswith(
        'Schema being registered is incompatible with an earlier schema for subject "orders-value", details: ['
        '{errorType:"REQUIRED_PROPERTY_ADDED", description:"'
    )
    assert '{oldSchemaVersion: 1}, {oldSchema: \'{"type": "object"}\'}' in message
    assert message.endswith("{validateFields: 'false', compatibility: 'BACKWARD'}]")
    difference = answer.json["differences"][0]
    assert difference["rule"] == "REQUIRED_PROPERTY_ADDED"
    assert difference["witness"] == {}
    assert difference["fix"]
    assert difference["version"] == 1


def test_a_subject_may_hold_slashes_and_spaces(registry):
    registry.register("team/orders value", OPEN)

    assert registry("GET", "/subjects").json == ["team/orders value"]
    assert registry("GET", "/subjects/team%2Forders%20value/versions/1").json["subject"] == "team/orders value"
    assert registry("GET", "/subjects/team/orders%20value/versions").json == [1]


def test_metadata_and_rules_are_stored_and_returned(registry, registered):
    metadata = {"properties": {"team": "shop"}, "tags": {"**.n": ["PII"]}}
    rules = {"domainRules": [{"name": "r", "kind": "CONDITION"}]}

    id_ = registered("a", OPEN, metadata=metadata, ruleSet=rules)

    kept = registry("GET", f"/schemas/ids/{id_}").json
    assert (kept["metadata"], kept["ruleSet"]) == (metadata, rules)
    assert registry.register("a", OPEN).json["id"] == id_


def test_the_newest_version_with_some_metadata_is_found(registry, registered):
    for number, team in enumerate(["shop", "shop", "other"]):
        registered("a", {"title": str(number)}, metadata={"properties": {"team": team, "x": "1"}})

    path = "/subjects/a/metadata?deleted=false&key=team&key=x&value=shop&value="
    assert registry("GET", path + "1").json["version"] == 2
    assert registry.error("GET", path + "2") == (404, 40403)


def test_a_schema_is_looked_up_under_a_subject(registry, registered):
    registered("a", OPEN)
    registered("a", MAY_N)

    found = registry("POST", "/subjects/a?normalize=False&deleted=False", schema(OPEN)).json
    assert (found["subject"], found["version"], found["schemaType"]) == ("a", 1, "JSON")
    assert registry.error("POST", "/subjects/a", schema(NEEDS_N)) == (404, 40403)
    assert registry.error("POST", "/subjects/b", schema(OPEN)) == (404, 40401)


def test_a_deleted_version_is_looked_up_only_when_asked_for(registry, registered):
    registered("a", OPEN)
    registered("a", MAY_N)
    registry("DELETE", "/subjects/a/versions/1")

    assert registry.error("POST", "/subjects/a?deleted=False", schema(OPEN)) == (404, 40403)
    assert registry("POST", "/subjects/a?deleted=True", schema(OPEN)).json["version"] == 1


def test_references_are_resolved_and_returned_and_block_deletion(registry, registered):
    registered("address", {"required": ["street"]})
    reference = {"name": "address.json", "subject": "address", "version": -1}
    id_ = registered("order", {"properties": {"to": {"$ref": "address.json"}}}, references=[reference])

    assert registry("GET", f"/schemas/ids/{id_}").json["references"] == [{**reference, "version": 1}]
    assert registry("GET", "/subjects/address/versions/1/referencedby").json == [id_]
    assert registry.error("DELETE", "/subjects/address/versions/1") == (422, 42206)
    assert registry.error("DELETE", "/subjects/address") == (422, 42206)


@pytest.mark.parametrize(
    "address", ["parts/order.json", "/schemas/parts/order.json", "urn:example:order", "HTTPS://x/y"]
)
def test_a_reference_named_as_the_schema_writes_it_is_found_for_any_id_of_the_schema(registry, registered, address):
    registered("customer", {"$id": "parts/customer.json", "properties": {"name": {"type": "string"}}})
    references = [{"name": "customer.json", "subject": "customer", "version": 1}]
    order = {"$id": address, "properties": {"owner": {"$ref": "customer.json"}}}

    assert registry("POST", "/subjects/order/versions", schema(order, references=references)).status == 200
    words = schema({**order, "description": "words"}, references=references)
    assert registry("POST", "/subjects/order/versions", words).status == 200
    missing = registry("POST", "/subjects/other/versions", schema(order))
    assert missing.status == 422
    assert "customer.json" in missing.json["message"]


OTHER_DRAFTS = [
    {"$schema": "http://json-schema.org/draft-07/schema#",
     "properties": {"data": {"$schema": "http://json-schema.org/draft-04/schema#"}}},
    {"properties": {"data": {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}}},
    {"properties": {"data": {"$schema": "https://example.com/unknown"}}},
    {"properties": {"data": {"$ref": "urn:inner"}},
     "$defs": {"inner": {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "urn:inner"}}},
]  # fmt: skip


@pytest.mark.parametrize("mixed", OTHER_DRAFTS)
def test_a_schema_with_a_part_of_another_draft_is_refused_while_versions_are_compared(registry, mixed):
    refused = registry("POST", "/subjects/nested/versions", schema(mixed))

    assert (refused.status, refused.json["error_code"]) == (422, 42201)
    assert "is of another draft than the whole" in refused.json["message"]
    registry("PUT", "/config/nested", {"compatibility": "NONE"})
    assert registry("POST", "/subjects/nested/versions", schema(mixed)).status == 200


def test_a_schema_whose_parts_name_its_own_draft_is_followed_by_itself(registry, registered):
    draft = "http://json-schema.org/draft-07/schema#"
    whole = {"$schema": draft, "properties": {"data": {"$schema": draft.rstrip("#"), "type": "object"}}}
    registered("nested", whole)

    assert registry("POST", "/subjects/nested/versions", schema({**whole, "title": "words"})).json["version"] == 2


CANNOT_FOLLOW_THEMSELVES = {
    "references that double": (
        {"$ref": "#/$defs/d0", "$defs": {
            **{f"d{it}": {"allOf": [{"$ref": f"#/$defs/d{it + 1}"}] * 2} for it in range(16)}, "d16": {}}},
        "followed too many times over",
    ),
    "a dynamic reference between resources": (
        {"$id": "https://e.example/t", "$ref": "list", "$defs": {
            "text": {"$dynamicAnchor": "items", "type": "string"},
            "list": {"$id": "list", "type": "array", "items": {"$dynamicRef": "#items"},
                     "$defs": {"any": {"$dynamicAnchor": "items"}}}}},
        "“$dynamicRef” means at “/$defs/list/items”",
    ),
    "a part of another draft that nobody refers to": (
        {"$defs": {"old": {"$schema": "http://json-schema.org/draft-04/schema#"}}},
        "the part at “/$defs/old” is of another draft",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("odd", "reason"), CANNOT_FOLLOW_THEMSELVES.values(), ids=CANNOT_FOLLOW_THEMSELVES.keys())
def test_a_schema_that_could_not_follow_itself_is_refused_with_the_reason(registry, odd, reason):
    refused = registry("POST", "/subjects/odd/versions", schema(odd))

    assert refused.status == 422
    assert reason in refused.json["message"]


CAN_FOLLOW_THEMSELVES = {
    "a tree": {"properties": {"children": {"items": {"$ref": "#"}}}},
    "a relative id": {"$id": "orders/order", "properties": {"a": {"$ref": "item"}}, "$defs": {"i": {"$id": "item"}}},
    "a URN": {"$id": "urn:example:order", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}},
    "an anchor as id": {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "#top",
                        "properties": {"a": {"$ref": "#a"}}, "definitions": {"a": {"$id": "#a", "type": "string"}}},
    "a dynamic reference in one resource": {"$dynamicAnchor": "n", "properties": {"next": {"$dynamicRef": "#n"}}},
    "properties that are named like keywords": {"properties": {"$schema": {"type": "string"}, "$id": {}, "$ref": {}}},
    "a value that looks like a schema": {"const": {"$schema": "http://json-schema.org/draft-04/schema#"}},
    "a reference to the schema of its draft": {
        "properties": {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}},
    "unevaluated properties beside alternatives": {
        "anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}], "unevaluatedProperties": False},
}  # fmt: skip


@pytest.mark.parametrize("odd", CAN_FOLLOW_THEMSELVES.values(), ids=CAN_FOLLOW_THEMSELVES.keys())
def test_an_odd_schema_that_is_registered_is_followed_by_itself(registry, registered, odd):
    registry("PUT", "/config/odd", {"compatibility": "FULL_TRANSITIVE", "compatibilityPolicy": "STRICT"})
    registered("odd", odd)

    assert registry("POST", "/subjects/odd/versions", schema({**odd, "description": "words"})).json["version"] == 2


KINDS = {"left out": {}, "AVRO": {"schemaType": "AVRO"}, "PROTOBUF": {"schemaType": "PROTOBUF"}}


@for_each("kind", KINDS.values())
@for_each(
    "path",
    ["/subjects/a/versions", "/subjects/a", "/compatibility/subjects/a/versions/latest"],
)
def test_other_kinds_of_schemas_are_refused_with_what_to_send(registry, path, kind):
    answer = registry("POST", path, {"schema": '"string"', **kind})

    assert (answer.status, answer.json["error_code"]) == (422, 42201)
    assert 'Send "schemaType": "JSON"' in answer.json["message"]


BAD = {
    "no schema": ({"schemaType": "JSON"}, 42201),
    "an empty schema": ({"schemaType": "JSON", "schema": " "}, 42201),
    "a schema that is no text": ({"schemaType": "JSON", "schema": {"type": "object"}}, 42201),
    "a schema that is no JSON": ({"schemaType": "JSON", "schema": "{oops"}, 42201),
    "a schema that is none": ({"schemaType": "JSON", "schema": '{"type": "objekt"}'}, 42201),
    "a kind that is no text": ({"schemaType": 5, "schema": "{}"}, 42201),
    "references that are no list": (schema({}, references={}), 42201),
    "a reference that is no object": (schema({}, references=["x"]), 42201),
    "a reference without a subject": (schema({}, references=[{"name": "x", "version": 1}]), 42201),
    "a reference to no version": (schema({}, references=[{"name": "x", "subject": "s", "version": "1"}]), 42201),
    "a reference to nothing": (schema({}, references=[{"name": "x", "subject": "s", "version": 1}]), 42201),
    "a reference to the latest of nothing": (
        schema({}, references=[{"name": "x", "subject": "s", "version": -1}]),
        42201,
    ),
    "one name twice": (schema({}, references=[{"name": "x", "subject": "s", "version": 1}] * 2), 42201),
    "metadata that are no object": (schema({}, metadata=[1]), 42201),
    "rules that are no object": (schema({}, ruleSet="x"), 42210),
    "metadata without end": (schema({}, metadata={"x": "y" * 70_000}), 42209),
    "an id of one's own": (schema({}, id=7), 42205),
}


@for_each("name", BAD)
def test_a_bad_body_is_422_and_nothing_is_stored(registry, name):
    body, code = BAD[name]

    assert registry.error("POST", "/subjects/a/versions", body) == (422, code)
    assert not Schema.objects.exists()
    assert not ContractVersion.objects.exists()


@pytest.mark.parametrize("subject", ["x" * 256, "a%00b", "a%0Ab", "%E2%80%AEx"])
def test_an_unreadable_subject_name_is_refused(registry, subject):
    assert registry.error("POST", f"/subjects/{subject}/versions", schema({})) == (422, 42208)
