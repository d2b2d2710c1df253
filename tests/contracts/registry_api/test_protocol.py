"""How clients ask: media types, methods, paths and booleans in all the ways that were seen."""

import pytest

from contracts.registry import settings
from tests.contracts.registry_api.conftest import VENDOR, schema
from tests.tables import for_each

OPEN = {"type": "object"}
BODIES = ("application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json")


@pytest.mark.parametrize("kind", [*BODIES, "application/octet-stream", "application/json; charset=utf-8"])
def test_a_body_may_be_called_as_clients_call_it(registry, kind):
    assert registry("POST", "/subjects/a/versions", schema(OPEN), content_type=kind).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_media_types_that_a_cross_site_form_can_send_are_refused(registry, kind):
    assert registry.error("POST", "/subjects/a/versions", schema(OPEN), content_type=kind) == (415, 415)


ACCEPTED = {
    f"{VENDOR}, application/vnd.schemaregistry+json, application/json": VENDOR,
    VENDOR: VENDOR,
    "*/*": "application/json",
    "application/json": "application/json",
    "text/html": "application/json",
    "application/vnd.schemaregistry+json": "application/vnd.schemaregistry+json",
    f"{VENDOR};q=0.5, application/json": "application/json",
    f"{VENDOR};q=0, application/json;q=0.1": "application/json",
    f"application/json;q=0, {VENDOR};q=0.1": VENDOR,
}


@for_each("accept", ACCEPTED)
def test_every_answer_is_json_and_called_as_it_was_asked_for(registry, accept):
    good, bad = registry("GET", "/subjects", accept=accept), registry("GET", "/nowhere", accept=accept)

    assert good.headers["content-type"] == bad.headers["content-type"] == ACCEPTED[accept]


@for_each("path", ["", "/", "/subjects/", "/config/", "/mode/", "/schemas/types/"])
def test_a_slash_at_the_end_makes_no_difference(registry, path):
    assert registry("GET", path).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_a_path_that_is_not_there_is_404_for_every_method(registry, method):
    assert registry.error(method, "/dek-registry/v1/keks") == (404, 404)


def test_a_method_that_is_not_served_is_405(registry):
    answer = registry("PATCH", "/subjects")

    assert (answer.status, answer.json["error_code"]) == (405, 405)
    assert "GET" in answer.headers["allow"]


@for_each("body", [b"", b"{oops", b"[]", b"5", b"\xff", b'{"schema":"{}","schema":"{}"}', b'"\\ud800"'])
@for_each("path", ["/subjects/a/versions", "/subjects/a", "/compatibility/subjects/a/versions"])
def test_a_body_that_is_no_object_is_400(registry, path, body):
    assert registry.error("POST", path, body) == (400, 400)


def test_a_body_over_the_limit_is_413(registry):
    body = b'{"schemaType":"JSON","schema":"' + b"x" * 1024 * 1024 + b'"}'

    assert registry.error("POST", "/subjects/a/versions", body) == (413, 413)


def test_clients_learn_whom_they_talk_to(registry):
    assert registry("GET", "/v1/metadata/id").json["scope"] == {"path": [], "clusters": {}}
    assert registry("GET", "/v1/metadata/version").json.keys() == {"version", "commitId"}


def test_a_subject_that_would_be_taken_for_another_is_refused(registry):
    registry.register("a", OPEN)
    asked = {"RAW_URI": "/registry/subjects/a%2Fversions%2F1"}

    answer = registry._ask._client.delete("/registry/subjects/a%2Fversions%2F1", **asked)

    assert (answer.status_code, answer.json()["error_code"]) == (422, 42208)
    assert registry("GET", "/subjects/a/versions").json == [1]


def test_the_openapi_document_describes_every_route(client, db):
    paths = {path for path in client.get("/openapi.json").json()["paths"] if path.startswith("/registry")}

    assert len(paths) == 26
    assert {
        "/registry/subjects/{subject}/versions/{version}",
        "/registry/schemas/ids/{id}",
        "/registry/config",
    } <= paths


def test_an_unexpected_error_is_answered_with_code_50001_and_logged(registry, monkeypatch, caplog):
    def broken():
        raise ZeroDivisionError("nobody expected this")

    monkeypatch.setattr(settings, "of_all", broken)

    assert registry.error("GET", "/config") == (500, 50001)
    assert "nobody expected this" in caplog.text


def test_a_subject_of_spaces_is_refused(registry):
    assert registry.error("POST", "/subjects/%20%20/versions", schema({})) == (422, 42208)


def test_only_the_registry_asks_for_user_and_password(client, db, settings):
    settings.AUTH = "required"

    inside = client.get("/registry/subjects")
    outside = client.get("/streams/orders/event-types")

    assert inside.status_code == outside.status_code == 401
    assert inside.headers["www-authenticate"] == ('Basic realm="synapse", charset="UTF-8", Bearer realm="synapse"')
    assert outside.headers["www-authenticate"] == 'Bearer realm="synapse"'


@for_each(
    "method, path, body, status",
    [
        ("GET", "/subjects?subjectPrefix=%00", None, 422),
        ("GET", "/schemas?subjectPrefix=%00", None, 422),
        ("PUT", "/config", b"null", 400),
        ("PUT", "/mode", b"null", 400),
        ("POST", "/subjects/a", b"null", 400),
        ("POST", "/subjects/a/versions", b"null", 400),
        ("POST", "/compatibility/subjects/a/versions", b"[]", 400),
        ("POST", "/subjects/a/versions", b'{"schemaType": "JSON", "schema": "true"}', 422),
        ("POST", "/subjects/a/versions", b'{"schemaType": "JSON", "schema": "null"}', 422),
        ("POST", "/subjects/a/versions", b'{"schemaType": "JSON", "schema": null}', 422),
        ("POST", "/subjects/a/versions", b'{"schemaType": "JSON", "schema": "{}"}', 200),
    ],
)
def test_each_answer_to_an_odd_request_is_documented(registry, client, method, path, body, status):
    answer = registry(method, path, body)

    template = path.partition("?")[0].replace("/a", "/{subject}", 1) if "/a" in path else path.partition("?")[0]
    described = client.get("/openapi.json").json()["paths"][f"/registry{template}"][method.lower()]["responses"]
    assert answer.status == status
    assert str(status) in described
