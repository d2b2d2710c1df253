"""Changing settings of the registry under the condition that they are still what was read (RFC 9110, 13.1.1)."""

import pytest

from contracts.api.urls import ENDPOINTS
from tests.both_ways import DjangoAlone

CONFIG = "/registry/config/orders.order-placed"
FULL, NONE = b'{"compatibility": "FULL"}', b'{"compatibility": "NONE"}'


@pytest.fixture
def ask(db):
    return DjangoAlone()


@pytest.fixture
def subject(ask):
    """The path of a subject with one version."""
    path = "/registry/subjects/orders.order-placed"
    body = b'{"schemaType": "JSON", "schema": "{}"}'
    assert ask("POST", f"{path}/versions", body, {"content-type": "application/json"}).status == 200
    return path


@pytest.mark.parametrize("path", [CONFIG, "/registry/config"])
def test_settings_that_another_caller_has_changed_are_not_overwritten(ask, path):
    ask("PUT", path, FULL)
    read = ask("GET", path).headers["etag"]
    ask("PUT", path, NONE)

    refused = ask("PUT", path, FULL, {"if-match": read})

    assert (refused.status, refused.json["error_code"]) == (412, 412)
    assert ask("GET", path).json["compatibilityLevel"] == "NONE"
    assert ask("PUT", path, FULL, {"if-match": ask("GET", path).headers["etag"]}).status == 200
    assert ask("GET", path).json["compatibilityLevel"] == "FULL"


def test_a_tag_of_any_media_type_of_the_registry_names_the_definition(ask):
    ask("PUT", CONFIG, FULL)
    read = ask("GET", CONFIG, headers={"accept": "application/vnd.schemaregistry.v1+json"}).headers["etag"]

    assert ask("PUT", CONFIG, NONE, {"if-match": f'"x", {read}'}).status == 200


@pytest.mark.parametrize("condition", ['W/"{}"', '"x"', "{}", ""])
def test_a_weak_or_another_tag_does_not_match(ask, condition):
    ask("PUT", CONFIG, FULL)
    read = ask("GET", CONFIG).headers["etag"].strip('"')

    assert ask("PUT", CONFIG, NONE, {"if-match": condition.format(read)}).status == 412
    assert ask("DELETE", CONFIG, headers={"if-match": condition.format(read)}).status == 412
    assert ask("GET", CONFIG).json["compatibilityLevel"] == "FULL"


def test_a_star_matches_settings_that_are_there_alone(ask):
    assert ask("PUT", CONFIG, FULL, {"if-match": "*"}).status == 412
    assert ask("GET", CONFIG).status == 404
    ask("PUT", CONFIG, FULL)

    assert ask("PUT", CONFIG, NONE, {"if-match": "*"}).status == 200
    assert ask("DELETE", CONFIG, headers={"if-match": "*"}).status == 200


@pytest.mark.parametrize("condition", ["*", '"x"', ""])
@pytest.mark.parametrize("query", ["", "?permanent=true"])
def test_a_subject_which_has_no_tag_is_not_deleted_under_a_condition(ask, subject, query, condition):
    refused = ask("DELETE", f"{subject}{query}", headers={"if-match": condition})

    assert (refused.status, refused.json["error_code"]) == (412, 412)
    assert ask("GET", f"{subject}/versions").json == [1]
    assert ask("DELETE", subject).status == 200


def test_a_hidden_version_is_deleted_for_good_under_the_condition_that_it_is_as_it_was_read(ask, subject):
    version = f"{subject}/versions/1"
    visible = ask("GET", version).headers["etag"]
    assert ask("DELETE", version, headers={"if-match": visible}).status == 200
    hidden = ask("GET", f"{version}?deleted=true").headers["etag"]

    assert ask("DELETE", f"{version}?permanent=true", headers={"if-match": visible}).status == 412
    assert ask("GET", f"{version}?deleted=true").status == 200
    assert ask("DELETE", f"{version}?permanent=true", headers={"if-match": hidden}).status == 200
    assert ask("GET", f"{version}?deleted=true").status == 404
    assert ask("DELETE", f"{version}?permanent=true", headers={"if-match": "*"}).status == 412


def test_each_documented_condition_is_of_a_path_that_can_be_read():
    readable = {each.path for each in ENDPOINTS if each.method == "GET"}
    conditional = [each for each in ENDPOINTS if any(one["name"] == "If-Match" for one in each.parameters)]

    assert len(conditional) >= 8
    assert {each.path for each in conditional} <= readable
    assert all(412 in each.problems for each in conditional)
