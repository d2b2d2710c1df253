"""Reading registered schemas: by subject, by id, by GUID; in parts; with and without deleted versions."""

import uuid

import pytest

from contracts import registry as verbs
from synapse.auth.principal import SYSTEM

OPEN = {"type": "object"}
MAY_N = {"type": "object", "properties": {"n": {"type": "number"}}}


@pytest.fixture
def three(registry, registered):
    """Subject `a` with versions 1 (hidden) and 2, subject `b` with 1, subject `gone` with none any more."""
    ids = [registered("a", OPEN), registered("a", MAY_N), registered("b", OPEN), registered("gone", {"title": "x"})]
    registry("DELETE", "/subjects/a/versions/1")
    registry("DELETE", "/subjects/gone")
    return ids


LISTS = {
    "/subjects": ["a", "b"],
    "/subjects?deleted=true": ["a", "b", "gone"],
    "/subjects?deleted_only=true": ["gone"],
    "/subjects?deletedOnly=True": ["gone"],
    "/subjects?subject=b": ["b"],
    "/subjects?subjectPrefix=go&deleted=true": ["gone"],
    "/subjects?subjectPrefix=:*:": ["a", "b"],
    "/subjects?offset=1&limit=-1": ["b"],
    "/subjects?offset=0&limit=1": ["a"],
    "/subjects?offset=9": [],
    "/subjects/a/versions": [2],
    "/subjects/a/versions?deleted=true": [1, 2],
    "/subjects/a/versions?deleted_only=true": [1],
    "/subjects/a/versions?deleted=true&offset=1&limit=5": [2],
    "/schemas/ids/1/subjects": ["b"],
    "/schemas/ids/1/subjects?deleted=true": ["a", "b"],
    "/schemas/ids/1/subjects?deleted=true&subject=a": ["a"],
    "/schemas/ids/1/versions": [{"subject": "b", "version": 1}],
    "/schemas/ids/1/versions?deleted=true&limit=1": [{"subject": "a", "version": 1}],
    "/schemas/types": ["JSON"],
    "/contexts?offset=0&limit=-1": ["."],
    "/associations/resources/-/orders?resourceType=topic&associationType=value": [],
}


def test_each_list_has_the_entries_that_its_parameters_select(registry, three):
    answers = {path: registry("GET", path.replace("/ids/1/", f"/ids/{three[0]}/")) for path in LISTS}

    assert {answer.status for answer in answers.values()} == {200}
    assert {path: answer.json for path, answer in answers.items()} == LISTS


def test_a_schema_is_found_by_its_id_also_of_a_hidden_version(registry, three):
    found = registry("GET", f"/schemas/ids/{three[3]}?subject=gone&format=&fetchMaxId=true").json

    assert found == {"schema": '{"title": "x"}', "schemaType": "JSON", "guid": found["guid"], "maxId": three[3]}


def test_a_schema_that_was_deleted_for_good_is_not_found(registry, three):
    registry("DELETE", "/subjects/gone?permanent=true")

    assert registry.error("GET", f"/schemas/ids/{three[3]}") == (404, 40403)


def test_a_guid_is_made_of_the_schema_and_leads_to_it(registry, three):
    guid = registry("GET", f"/schemas/ids/{three[0]}").json["guid"]

    assert uuid.UUID(guid).version == 5
    assert registry("GET", f"/schemas/guids/{guid}").json["schema"] == '{"type": "object"}'
    assert registry("GET", f"/schemas/guids/{guid}/ids").json == [{"context": ".", "id": three[0]}]


@pytest.mark.parametrize("path", ["/schemas/ids/{id}/schema", "/subjects/a/versions/latest/schema"])
def test_a_schema_is_given_as_it_was_registered(registry, three, path):
    answer = registry("GET", path.format(id=three[1]))

    assert answer.json == MAY_N


def test_all_versions_are_listed_with_their_schemas(registry, three, registered):
    registered("b", MAY_N)

    def listed(query=""):
        return [(each["subject"], each["version"]) for each in registry("GET", f"/schemas{query}").json]

    assert listed() == [("a", 2), ("b", 1), ("b", 2)]
    assert listed("?latestOnly=true") == [("a", 2), ("b", 2)]
    assert listed("?deleted=true&subjectPrefix=a&offset=0&limit=1") == [("a", 1)]


@pytest.mark.parametrize("latest", ["latest", "-1"])
def test_the_latest_version_is_the_highest_that_is_there(registry, registered, latest):
    for document in (OPEN, MAY_N, {**MAY_N, "title": "third"}):
        registered("a", document)
    registry("DELETE", "/subjects/a/versions/3")

    assert registry("GET", f"/subjects/a/versions/{latest}").json["version"] == 2


def test_a_deprecated_version_is_the_latest_only_when_no_other_is_active(registry, registered):
    registered("a", OPEN)
    registered("a", MAY_N)
    owner = verbs.contract("a")

    def latest():
        listed = [each["version"] for each in registry("GET", "/schemas?latestOnly=true").json]
        assert [registry("GET", "/subjects/a/versions/latest").json["version"]] == listed
        return listed[0]

    verbs.deprecate(verbs.version(owner, 2), by=SYSTEM)
    assert latest() == 1

    verbs.deprecate(verbs.version(owner, 1), by=SYSTEM)
    assert latest() == 2


def test_the_latest_alone_of_a_deleted_subject_is_its_highest(registry, registered):
    registered("a", OPEN)
    registered("a", MAY_N)
    registry("DELETE", "/subjects/a")

    assert registry("GET", "/schemas?latestOnly=true").json == []
    assert [each["version"] for each in registry("GET", "/schemas?latestOnly=true&deleted=true").json] == [2]


def test_a_subject_with_only_a_draft_is_not_listed_and_has_no_versions(registry):
    verbs.draft("a", "{}", by=SYSTEM)

    assert registry("GET", "/subjects?deleted=true").json == []
    assert registry.error("GET", "/subjects/a/versions") == (404, 40401)


MISSING = {
    "/subjects/nowhere/versions": (404, 40401),
    "/subjects/nowhere/versions/1": (404, 40401),
    "/subjects/nowhere/versions/latest": (404, 40401),
    "/subjects/gone/versions": (404, 40401),
    "/subjects/gone/versions/latest": (404, 40401),
    "/subjects/a/versions/1": (404, 40402),
    "/subjects/a/versions/9": (404, 40402),
    "/subjects/a/versions/9/schema": (404, 40402),
    "/subjects/a/versions/9/referencedby": (404, 40402),
    "/subjects/a/versions/0": (422, 42202),
    "/subjects/a/versions/-2": (422, 42202),
    "/subjects/a/versions/first": (422, 42202),
    "/subjects/a/versions/2147483648": (422, 42202),
    "/schemas/ids/999999": (404, 40403),
    "/schemas/ids/abc": (404, 40403),
    "/schemas/ids/99999999999999999999": (404, 40403),
    "/schemas/ids/999999/schema": (404, 40403),
    "/schemas/ids/999999/subjects": (404, 40403),
    "/schemas/ids/999999/versions": (404, 40403),
    "/schemas/guids/abc": (404, 40403),
    f"/schemas/guids/{uuid.UUID(int=7)}": (404, 40403),
    "/config/a": (404, 40408),
    "/mode/a": (404, 40409),
    "/subjects?limit=ten": (400, 400),
    "/subjects?deleted=perhaps": (400, 400),
    "/subjects?subjectPrefix=%00": (422, 42208),
    "/subjects/a%00/versions": (422, 42208),
    "/config/a%00": (422, 42208),
    "/no%0Awhere": (404, 404),
    "/nowhere": (404, 404),
    "/subjects-x": (404, 404),
    "/associations": (404, 404),
}


def test_a_missing_resource_is_answered_with_its_error_code(registry, three):
    assert {path: registry.error("GET", path) for path in MISSING} == MISSING


def test_asking_by_id_takes_one_query(registry, registered, django_assert_num_queries):
    id_ = registered("a", OPEN)

    with django_assert_num_queries(1):
        assert registry("GET", f"/schemas/ids/{id_}").status == 200
