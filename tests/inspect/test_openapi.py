"""The OpenAPI document describes every route, and drf-spectacular has nothing to complain about."""

import io

import orjson
import pytest
from django.core.management import call_command

from bridges.api.urls import urlpatterns as of_bridges
from contracts.api.urls import urlpatterns as registry
from core.patterns import compiled
from streams.api.urls import urlpatterns as of_streams
from synapse_project.lanes import ROUTES

urlpatterns = [*of_streams, *of_bridges]


@pytest.fixture(scope="module")
def document():
    output, complaints = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", complaints)
        call_command("spectacular", "--format", "openapi-json", "--validate", "--fail-on-warn", stdout=output)
    assert "Warning" not in complaints.getvalue()
    return orjson.loads(output.getvalue())


def operations(document):
    return [operation for path in document["paths"].values() for operation in path.values()]


def test_the_document_is_openapi_3_1_and_is_served(document, client):
    assert document["openapi"] == "3.1.0"
    assert client.get("/openapi.json").json() == document


def test_the_document_is_made_once(client, monkeypatch):
    first = client.get("/openapi.json").content
    monkeypatch.setattr("drf_spectacular.generators.SchemaGenerator.parse", lambda *_: pytest.fail("made again"))

    assert client.get("/openapi.json").content == first


def test_every_route_of_django_is_described_without_a_trailing_slash(document):
    described = document["paths"].keys()

    # Both ways to end the registry's own path are one, and what it says of unknown paths is no route.
    assert len(described) == len([*urlpatterns, *registry]) - 1
    assert all(not path.endswith("/") for path in described)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_of_the_express_lane_is_described_and_has_a_twin(document, route):
    assert route.method.lower() in document["paths"][route.path]
    assert any(pattern.resolve(route.path.strip("/").replace("{stream}", "orders")) for pattern in urlpatterns)
    assert compiled(route.path).fullmatch(route.path)


def test_every_operation_has_a_name_a_summary_and_what_it_answers(document):
    names = [operation["operationId"] for operation in operations(document)]

    assert len(set(names)) == len(names)
    for operation in operations(document):
        assert operation["summary"]
        for status, response in operation["responses"].items():
            assert response["content"], (operation["operationId"], status)


def test_refusals_are_problem_documents(document):
    refusals = [
        response
        for operation in operations(document)
        for status, response in operation["responses"].items()
        if status.startswith(("4", "5")) and operation["operationId"] not in ("health", "readiness")
        # Clients of registries read refusals of their own kind.
        if operation["tags"] != ["registry"]
    ]

    assert refusals
    for response in refusals:
        assert response["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_publishing_takes_one_event_a_list_or_lines(document):
    body = document["paths"]["/events/{stream}"]["post"]["requestBody"]["content"]

    assert set(body) == {"application/json", "application/x-ndjson"}
    assert [form["type"] for form in body["application/json"]["schema"]["oneOf"]] == ["object", "array"]
    assert set(body["application/json"]["examples"]) == {"OneEvent", "ABatch"}


def test_unavailable_answers_say_when_to_come_back(document):
    messages = document["paths"]["/streams/{stream}/messages"]["get"]

    assert "Retry-After" in messages["responses"]["503"]["headers"]
