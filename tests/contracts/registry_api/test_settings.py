"""Compatibility and mode through the API, and the question whether a schema would be refused."""

import pytest

from core.models import AuditEntry
from tests.contracts.registry_api.conftest import schema
from tests.tables import for_each

OPEN = {"type": "object"}
MAY_N = {"type": "object", "properties": {"n": {"type": "number"}}}
NEEDS_N = {**MAY_N, "required": ["n"]}


def test_the_registry_begins_backward_and_lenient(registry):
    assert registry("GET", "/config").json == {"compatibilityLevel": "BACKWARD", "compatibilityPolicy": "LENIENT"}


@pytest.mark.parametrize("path", ["/config", "/config/team%2Forders"])
def test_compatibility_is_set_under_one_name_and_asked_for_under_another(registry, path):
    assert registry("PUT", path, {"compatibility": "full"}).json == {"compatibility": "FULL"}
    assert registry("GET", path).json["compatibilityLevel"] == "FULL"
    assert registry("DELETE", path).json["compatibilityLevel"] == "FULL"
    assert registry("GET", "/config").json["compatibilityLevel"] == "BACKWARD"


def test_a_subject_without_compatibility_of_its_own_says_so(registry, registered):
    registered("a", OPEN)

    assert registry.error("GET", "/config/a?defaultToGlobal=false") == (404, 40408)
    assert registry.error("DELETE", "/config/a") == (404, 40408)
    assert registry("GET", "/config/a?defaultToGlobal=True").json["compatibilityLevel"] == "BACKWARD"


def test_a_policy_is_set_beside_the_compatibility(registry, registered):
    registered("a", OPEN)

    assert registry("PUT", "/config/a", {"compatibilityPolicy": "STRICT"}).json == {"compatibilityPolicy": "STRICT"}

    assert registry("GET", "/config/a").json == {"compatibilityLevel": "BACKWARD", "compatibilityPolicy": "STRICT"}
    assert registry.register("a", MAY_N).status == 409


def test_settings_that_only_other_registries_apply_are_stored_and_returned(registry):
    sent = {"compatibility": "NONE", "compatibilityGroup": "team", "defaultMetadata": {"properties": {"a": "b"}}}

    assert registry("PUT", "/config/a", sent).json == sent
    assert registry("GET", "/config/a").json == {
        "compatibilityLevel": "NONE",
        "compatibilityPolicy": "LENIENT",
        "compatibilityGroup": "team",
        "defaultMetadata": {"properties": {"a": "b"}},
    }


@pytest.mark.parametrize("body", [{"compatibility": "SIDEWAYS"}, {"compatibility": 5}, {"compatibilityPolicy": "MILD"}])
def test_an_invalid_compatibility_is_refused(registry, body):
    assert registry.error("PUT", "/config", body) == (422, 42203)


@pytest.mark.parametrize("body", [{"defaultMetadata": False}, {"overrideRuleSet": []}, {"compatibilityGroup": {}}])
def test_settings_of_a_wrong_form_are_refused_and_not_stored(registry, body):
    assert registry.error("PUT", "/config", body) == (422, 42203)
    assert registry("GET", "/config").json == {"compatibilityLevel": "BACKWARD", "compatibilityPolicy": "LENIENT"}


@pytest.mark.parametrize("path", ["/mode", "/mode/a"])
def test_a_mode_is_set_and_reset(registry, path):
    assert registry("PUT", f"{path}?force=False", {"mode": "readonly"}).json == {"mode": "READONLY"}
    assert registry("GET", path).json == {"mode": "READONLY"}
    assert registry.error("POST", "/subjects/a/versions", schema(OPEN)) == (422, 42205)
    assert registry.error("PUT", "/config/a", {"compatibility": "NONE"}) == (422, 42205)
    assert registry("DELETE", path).json == {"mode": "READONLY"}
    assert registry("GET", "/mode/a?defaultToGlobal=true").json == {"mode": "READWRITE"}
    assert registry.register("a", OPEN).status == 200


def test_modes_that_are_none_or_would_let_callers_give_ids_are_refused(registry):
    assert registry.error("PUT", "/mode", {"mode": "WRITEONLY"}) == (422, 42204)
    assert registry.error("PUT", "/mode", {}) == (422, 42204)
    for path in ("/mode", "/mode/a"):
        assert registry.error("PUT", path, {"mode": "READONLY", "Mode": "READWRITE"}) == (422, 42204)
        assert registry.error("PUT", path, {"mode": "READONLY", "compatibility": "NONE"}) == (422, 42204)
    assert registry("GET", "/mode").json == {"mode": "READWRITE"}
    assert registry("PUT", "/mode", {"mode": "READWRITE", "force": None}).status == 200
    assert registry.error("PUT", "/mode?force=true", {"mode": "IMPORT"}) == (422, 42205)
    assert registry.error("GET", "/mode/a") == (404, 40409)
    assert registry.error("DELETE", "/mode/a") == (404, 40409)


def test_every_change_is_recorded_once(registry, registered):
    registered("a", OPEN)
    registry("PUT", "/config/a", {"compatibility": "NONE"})
    registry("PUT", "/mode", {"mode": "READONLY"})
    registry("PUT", "/mode", {"mode": "READWRITE"})
    registry("DELETE", "/subjects/a/versions/1")
    registry("DELETE", "/subjects/a/versions/1?permanent=true")

    entries = AuditEntry.objects.order_by("id").values_list("actor", "action", "target")
    assert list(entries) == [
        ("anonymous", "activate", "contract a"),
        ("anonymous", "configure", "contract a"),
        ("anonymous", "configure", "registry settings registry"),
        ("anonymous", "configure", "registry settings registry"),
        ("anonymous", "delete", "contract version a version 1"),
        ("anonymous", "delete for good", "contract version a version 1"),
    ]


@pytest.mark.parametrize("path", ["/latest", "/1", ""])
def test_the_compatibility_check_answers_whether_a_schema_would_be_refused(registry, registered, path):
    registered("a", OPEN)
    path = f"/compatibility/subjects/a/versions{path}"

    assert registry("POST", f"{path}?normalize=False&verbose=False", schema(MAY_N)).json == {"is_compatible": True}
    assert registry("POST", path, schema(NEEDS_N)).json == {"is_compatible": False}
    told = registry("POST", f"{path}?verbose=True", schema(NEEDS_N)).json
    assert told["messages"][0].startswith('{errorType:"REQUIRED_PROPERTY_ADDED", description:"')
    assert told["differences"][0]["witness"] == {}
    assert registry("GET", "/subjects/a/versions").json == [1]


def test_with_one_version_alone_is_compared_when_it_is_named(registry, registered):
    registered("a", NEEDS_N)
    registered("a", OPEN)

    assert registry("POST", "/compatibility/subjects/a/versions/1", schema(NEEDS_N)).json["is_compatible"]
    assert not registry("POST", "/compatibility/subjects/a/versions/2", schema(NEEDS_N)).json["is_compatible"]


def test_a_schema_is_compatible_with_a_subject_that_does_not_exist(registry):
    assert registry("POST", "/compatibility/subjects/a/versions/latest", schema(OPEN)).json == {"is_compatible": True}
    assert registry("POST", "/compatibility/subjects/a/versions", schema(OPEN)).json == {"is_compatible": True}
    assert registry.error("POST", "/compatibility/subjects/a/versions/1", schema(OPEN)) == (404, 40401)


def test_an_invalid_schema_is_refused_by_the_compatibility_check(registry):
    body = {"schema": '{"type": "objekt"}', "schemaType": "JSON"}

    assert registry.error("POST", "/compatibility/subjects/a/versions", body) == (422, 42201)


@for_each("path", ["/config", "/config/a"])
@for_each(
    "body, named",
    [
        ({"alias": "b"}, "alias"),
        ({"validateFields": True}, "validateFields"),
        ({"compatibilty": "NONE"}, "compatibilty"),
        ({"compatibility": "NONE", "Normalize": True}, "Normalize"),
        ({"": 1}, ""),
    ],
)
def test_a_setting_that_is_not_kept_is_refused_by_its_name_and_nothing_is_set(registry, path, body, named):
    refused = registry("PUT", path, body)

    assert (refused.status, refused.json["error_code"]) == (422, 42203)
    assert f"“{named}”" in refused.json["message"]
    assert registry("GET", f"{path}?defaultToGlobal=true").json["compatibilityLevel"] == "BACKWARD"


@pytest.mark.parametrize("body", [{"alias": None}, {"compatibility": None, "compatibilityGroup": "team"}])
def test_a_setting_that_is_null_is_left_out(registry, body):
    assert registry("PUT", "/config/a", body).status == 200


@pytest.mark.parametrize("path", ["/config", "/config/a"])
def test_a_subject_that_normalizes_keeps_schemas_without_layout(registry, path):
    assert registry("PUT", path, {"normalize": True}).json == {"normalize": True}
    assert registry("GET", path).json["normalize"] is True

    found = registry(
        "POST", "/subjects/a/versions", {"schema": '{"type" : "object", "title": "A"}', "schemaType": "JSON"}
    )

    assert found.json["schema"] == '{"title":"A","type":"object"}'


def test_a_subject_may_keep_layout_where_all_others_normalize(registry):
    registry("PUT", "/config", {"normalize": True})
    registry("PUT", "/config/a", {"normalize": False})

    found = registry("POST", "/subjects/a/versions", {"schema": '{"type" : "object"}', "schemaType": "JSON"})

    assert found.json["schema"] == '{"type" : "object"}'


@pytest.mark.parametrize("value", ["true", 1, {}])
def test_normalize_is_true_or_false(registry, value):
    assert registry.error("PUT", "/config", {"normalize": value}) == (422, 42203)
