"""The OpenAPI document describes every route, and drf-spectacular has nothing to complain about."""

import asyncio
import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import jsonschema_rs
import orjson
import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from contracts.api.urls import urlpatterns as registry
from synapse.cloudevents.attributes import BATCH, STRUCTURED
from synapse.http.exchange import compile_path
from synapse_project import api_docs, front_door
from synapse_project.endpoints import ROUTES, urlpatterns
from tests.references import resolved


@pytest.fixture(scope="module")
def document():
    output, complaints = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", complaints)
        call_command("spectacular", "--format", "openapi-json", "--validate", "--fail-on-warn", stdout=output)
    assert "Warning" not in complaints.getvalue()
    return orjson.loads(output.getvalue())


@pytest.fixture
def not_built():
    """No document is built yet."""
    api_docs._build_document.cache_clear()


def operations(document):
    return [operation for path in document["paths"].values() for operation in path.values()]


def responses_of(document, operation):
    return {status: resolved(document, response) for status, response in operation["responses"].items()}


def test_the_document_is_openapi_3_1_and_is_served(document, client):
    assert document["openapi"] == "3.1.0"
    assert client.get("/openapi.json").json() == document


def test_the_document_is_built_once_by_callers_that_ask_at_once(not_built, monkeypatch):
    built, get_schema, callers = [], SchemaGenerator.get_schema, 8
    monkeypatch.setattr(SchemaGenerator, "get_schema", lambda *all, **more: built.append(1) or get_schema(*all, **more))
    together = threading.Barrier(callers, timeout=60)

    def ask(_):
        together.wait()
        return Client().get("/openapi.json")

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(ask, range(callers)))

    assert [answer.status_code for answer in answers] == [200] * callers
    assert len({answer.content for answer in answers}) == len(built) == 1


def test_the_web_process_builds_the_document_before_it_is_asked_for(monkeypatch):
    built = threading.Event()
    monkeypatch.setattr(api_docs, "document", built.set)
    # What else the start does needs Redis, the database and threads.
    collecting = ("process.tune_garbage_collector", "process.keep_large_blocks_apart")
    starting = ("background_tasks.start", "expiry.WORK.start", "alerts.WORK.start", "health.start")
    for name in ("holder.current", *starting, "prepare_pages", *collecting):
        monkeypatch.setattr(f"synapse_project.front_door.{name}", lambda: None)
    sent = []

    async def receive():
        if sent:
            raise asyncio.CancelledError
        return {"type": "lifespan.startup"}

    async def send(message):
        sent.append(message["type"])

    async def start():
        with pytest.raises(asyncio.CancelledError):
            await front_door.Lifespan()(receive, send)

    asyncio.run(start())

    assert sent == ["lifespan.startup.complete"]
    assert built.is_set()


def test_a_client_that_has_the_document_is_not_sent_it_again(client):
    first = client.get("/openapi.json")

    again = client.get("/openapi.json", headers={"if-none-match": first["ETag"]})
    of_another = client.get("/openapi.json", headers={"if-none-match": '"another"'})

    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]
    assert again["Cache-Control"] == first["Cache-Control"] == "private, no-cache"
    assert (of_another.status_code, of_another.content) == (200, first.content)


@pytest.mark.parametrize("kind", ["application/json", "application/vnd.oai.openapi+json"])
def test_the_document_has_the_content_type_that_is_asked_for(client, kind):
    answer = client.get("/openapi.json", headers={"accept": kind})

    assert answer["Content-Type"] == kind
    assert client.get("/openapi.json", headers={"accept": "text/csv"}).status_code == 406


def test_the_document_is_small_enough_for_a_browser(client):
    answer = client.get("/openapi.json")

    # It grows with the routes: what they repeat is written once.
    operations = sum(len(methods) for methods in answer.json()["paths"].values())
    assert len(answer.content) < 2_400 * operations


def test_shared_parameters_have_names_that_generated_clients_tell_apart(document):
    names = [re.sub("[^a-z0-9]", "", name.lower()) for name in document["components"]["parameters"]]

    assert len(names) == len(set(names)) > 10


def test_every_reference_leads_to_a_component_and_every_component_is_referred_to(document):
    def references(value):
        if isinstance(value, dict):
            yield from [value["$ref"]] if "$ref" in value else []
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                yield from references(part)

    kinds = {kind: things for kind, things in document["components"].items() if kind != "securitySchemes"}
    components = {f"#/components/{kind}/{name}" for kind, things in kinds.items() for name in things}

    assert set(kinds) == {"schemas", "parameters", "responses", "headers"}
    assert set(references(document)) == components


def test_an_error_that_means_something_else_keeps_its_description(document):
    responses = document["paths"]["/services/{service}/keys"]["get"]["responses"]

    assert responses["404"]["description"] == "There is no such service or key."
    assert responses["404"]["$ref"] == "#/components/responses/NotFoundProblem"
    shared = document["components"]["responses"]["NotFoundProblem"]
    assert shared["description"] == "There is no such stream or entry."


def test_parameters_of_one_name_that_differ_are_not_confused(document):
    def path_id(path):
        parameters = [resolved(document, each) for each in document["paths"][path]["get"]["parameters"]]
        return next(each["description"] for each in parameters if each["name"] == "id")

    assert path_id("/registry/schemas/ids/{id}") == "The schema's global id."
    assert path_id("/streams/{stream}/groups/{group}/dead-letters/{id}") == "The dead letter's id."


def test_events_and_schemas_may_have_any_further_property(document):
    schemas = document["components"]["schemas"]

    assert schemas["Event"]["additionalProperties"] is schemas["JsonSchema"]["additionalProperties"] is True


def test_the_health_checks_are_said_to_need_no_key(document):
    without = [each["operationId"] for each in operations(document) if each.get("security") == []]

    assert sorted(without) == ["health", "liveness", "readiness"]
    # Of all others the document says it: a key in any of three ways, or none where access is open.
    assert [list(each) for each in document["security"]] == [["bearer"], ["header"], ["basic"], []]


def test_every_route_of_django_is_described_without_a_trailing_slash(document):
    described = document["paths"].keys()

    # Both ways to end the registry's own path are one, and what it says of unknown paths is no route.
    assert len(described) == len([*urlpatterns, *registry]) - 1
    assert all(not path.endswith("/") for path in described)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_of_the_fast_path_is_described_and_has_a_twin_in_django(document, route):
    assert route.method.lower() in document["paths"][route.path]
    assert any(pattern.resolve(route.path.strip("/").replace("{stream}", "orders")) for pattern in urlpatterns)
    assert compile_path(route.path).fullmatch(route.path)


def test_every_operation_has_a_name_a_summary_and_what_it_answers(document):
    names = [operation["operationId"] for operation in operations(document)]

    assert len(set(names)) == len(names)
    for operation in operations(document):
        assert operation["summary"]
        for status, response in responses_of(document, operation).items():
            assert (status in ("101", "304")) != bool(response.get("content")), (operation["operationId"], status)


def test_refusals_are_problem_documents(document):
    refusals = [
        response
        for operation in operations(document)
        for status, response in responses_of(document, operation).items()
        if status.startswith(("4", "5")) and operation["operationId"] not in ("health", "readiness")
        # Clients of registries read refusals of their own kind.
        if operation["tags"] != ["registry"]
    ]

    assert refusals
    for response in refusals:
        assert response["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


def test_publishing_takes_one_event_a_list_or_lines(document):
    body = document["paths"]["/events/{stream}"]["post"]["requestBody"]["content"]

    assert set(body) == {"application/json", "application/x-ndjson", STRUCTURED, BATCH}
    forms = [resolved(document, form) for form in body["application/json"]["schema"]["oneOf"]]
    assert [form["type"] for form in forms] == ["object", "array"]
    assert set(body["application/json"]["examples"]) == {"OneEvent", "ABatch"}


@pytest.mark.parametrize("path", ["/events/{stream}", "/events/{stream}/validate"])
def test_a_cloudevent_is_published_without_binary_data(document, path):
    body = document["paths"][path]["post"]["requestBody"]["content"]
    one = body[STRUCTURED]["schema"]
    described = jsonschema_rs.Draft202012Validator({**one, "components": document["components"]})
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "placed", "subject": None, "extension": 1}

    assert body[BATCH]["schema"]["items"] == one
    assert described.is_valid({**event, "data": {"a": 1}, "data_base64": None})
    assert not described.is_valid({**event, "data_base64": "AA=="})
    assert not described.is_valid({**event, "specversion": "0.3"})
    assert not described.is_valid({name: value for name, value in event.items() if name != "id"})


def test_unavailable_answers_say_when_to_come_back(document):
    messages = document["paths"]["/streams/{stream}/messages"]["get"]

    assert "Retry-After" in responses_of(document, messages)["503"]["headers"]
