"""No route and no page reveals a PII value to a caller without the right to it, for any request.

Events hold a canary in a marked property. Each read operation of the OpenAPI document and each page of the admin is
asked with parameters that would find the canary, and with others that would not: the canary is in no answer, and both
answers are the same.
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from bridges import consume
from bridges.models import ArchivedEvent, Bridge
from bridges.runtime.worker_factory import open_worker
from contracts import registry
from core.models import Role
from streams.models import EventType, Stream
from streams.snapshot import holder
from synapse.auth.principal import SYSTEM
from synapse.delivery.shutdown import Stop
from synapse.errors.delivery import SinkError
from synapse.schema.pii import MASK
from tests.admin.pages import text_of, url
from tests.admin.test_permissions import OURS, Scene
from tests.admin.test_permissions import PAGES as PAGES_OF_OURS
from tests.bridges.cast import KeepingSink
from tests.callers import callers_with
from tests.chaos.profile import FULL
from tests.definitions import contract
from tests.pii.conftest import Impersonal

CANARY, OTHER, ABSENT = "canary-zeb@example.org", "canary-zob@example.org", "canary-zib@example.org"
SCHEMA = {
    "type": "object",
    "properties": {
        "email": {"type": "string", "x-pii": True},
        "source": {"type": "string", "x-pii": True},
        "customer": {"type": "object", "properties": {"name": {"type": "string", "x-pii": True}}},
        "n": {"type": "integer"},
    },
}
# What somebody could try, on any route: with the value, and with its beginning.
PROPERTIES = ("email", "source", "customer.name", "customer__name", "sender", "user_id", "request_id", "event")
LOOKUPS = ("", "__startswith", "__contains", "__gt", "__regex", "[startswith]", "~")
GENERAL = ("q", "search", "filter", "where", "property", "value", "match", "key", "source", "query", "term", "order_by")
OPEN_ENDED = ("/streams/{stream}/live", "/live", "/stats/live")


def holding(value: str, n: int) -> dict[str, Any]:
    return {"event_type": "order-placed", "email": value, "source": value, "customer": {"name": value}, "n": n}


class QuotingSink(KeepingSink):
    """Refuses every event for good, and quotes it in the ways in which programs do."""

    def take(self, delivery: Any) -> None:
        value = delivery.event["email"]
        address = urlencode({"to": value})
        raise SinkError(
            f"no mailbox {value!r}, {json.dumps(delivery.event)}, <b>{value}</b>, /?{address}", permanent=True
        )


@pytest.fixture
def scene(redis: Any, db: None, any_schema_may_follow: None) -> Scene:
    """One of everything: events that hold the canary are in the stream, in the archive and among the dead letters."""
    scene = Scene(redis)
    contract("orders.order-placed", SCHEMA)
    registry.draft("orders.order-placed", '{"properties": {"email": {"pattern": "^canary-ze"}}}', by=SYSTEM)
    redis.delete("orders")
    redis.xgroup_create("orders", "warehouse", "0", mkstream=True)
    for number, value in enumerate((CANARY, OTHER), 1):
        event = holding(value, number)
        redis.xadd("orders", {**event, "customer": json.dumps(event["customer"])}, id=f"{number}-1")
        ArchivedEvent.objects.create(
            bridge=Bridge.objects.get(), stream="orders", entry_id=f"9-{number}", event_type="order-placed",
            source=value, event=event, occurred_at="2026-01-01T00:00Z", published_at="2026-01-01T00:00Z",
        )  # fmt: skip
    holder.forget()
    bridge = consume.ConsumeOptions(stream="orders", group="warehouse", handler="shop.handlers.pack").bridge
    worker = open_worker(bridge, say=lambda _: None, stop=Stop(), sink=QuotingSink(), block_ms=0)
    while worker.step():
        pass
    worker.leave(worker._membership._executor)
    scene.letter = Client().get("/streams/orders/groups/warehouse/dead-letters").json()["dead_letters"][0]["id"]
    return scene


def read_operations() -> list[tuple[str, list[str]]]:
    """Return the paths that the OpenAPI document reads with GET, and the parameters that they name."""
    document = Client().get("/openapi.json").json()
    shared = document["components"].get("parameters", {})

    def parameters(operation: Any) -> Iterator[Any]:
        for each in operation.get("parameters", []):
            yield shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each

    return sorted(
        (path, [each["name"] for each in parameters(operations["get"]) if each["in"] == "query"])
        for path, operations in document["paths"].items()
        if "get" in operations and path not in OPEN_ENDED
    )


def address_of(path: str, scene: Scene) -> str:
    named = {
        "stream": "orders", "group": "warehouse", "id": "1-1", "service": "shop", "subject": "orders.order-placed",
        "version": "latest", "namespace": "a", "resource": "b", "guid": "00000000-0000-0000-0000-000000000000",
        "event_type": "order-placed", "key_id": "k",
    }  # fmt: skip
    if "dead-letters/{id}" in path:
        named["id"] = scene.letter
    return path.format(**named).replace("/ids/1-1", "/ids/1")


def questions(parameters: list[str], value: str) -> Iterator[dict[str, str]]:
    """Give queries that would find the value, if anything did."""
    for name in parameters:
        yield {name: value}
    if "filter" in parameters:
        text = json.dumps(value)
        yield {"filter": f"event.email == {text} || data.source.startsWith({text}) || source == {text}"}
        yield {"filter": f"!(event.customer.name < {text}) && event.email != {text}"}
    lookups = {f"{name}{lookup}": value for name in PROPERTIES for lookup in LOOKUPS}
    general = dict.fromkeys(GENERAL, value) | {"op": "eq", "filter": json.dumps({"property": "email", "value": value})}
    yield from (lookups, general) if FULL else (lookups | general,)


def spelled(value: str) -> list[str]:
    in_address = quote(value, safe="")
    # As a parameter, and as the filters of a list, which are a parameter of their own.
    return [value, json.dumps(value)[1:-1], in_address, quote(in_address), quote(quote(value))]


def neutral(text: str, value: str) -> str:
    """Return an answer without the words of its question, and without what differs from one moment to the next."""
    for each in sorted(spelled(value), key=len, reverse=True):
        text = text.replace(each, "<asked>")
    text = re.sub(r'<script id="chart-data".*?</script>', "<values up to now>", text, flags=re.DOTALL)
    text = re.sub(r"<time [^>]*>[^<]*</time>|(\d+(\.\d+)?\s?(s|min|ms|seconds?)( ago)?|now)\b", "<time>", text)
    changing = (
        *(r'csrfmiddlewaretoken" value="[^"]*"', r'nonce="[^"]*"'),
        *(r"\d{4}-\d\d-\d\d[T ][\d:.]+Z?", r'value="\d\d:\d\d:\d\d"'),
    )
    return re.sub("|".join(changing), "<changes>", text)


def tells(text: str, *values: str) -> bool:
    """Say whether a text holds a value, in any spelling."""
    spellings = {each for value in values for each in [*spelled(value), base64.b64encode(value.encode()).decode()]}
    text = text.lower()
    return any(each.lower() in text for each in spellings)


def fails(status: int) -> bool:
    """Say whether a status tells of a failure; 501 is the answer of a way in that does not serve a route."""
    return status >= 500 and status != 501


def wrong_answers(asked: Any, parameters: list[str], *, is_steady: bool = True) -> Iterator[str]:
    """Yield the errors in the answers to all questions. `asked` returns a status and a text; `is_steady` says that the
    text does not change from one moment to the next."""
    yield from wrong_plain_answer(asked)
    yield from told_by_questions(asked, parameters, is_steady=is_steady)


def told_by_questions(asked: Any, parameters: list[str], *, is_steady: bool) -> Iterator[str]:
    """Yield the errors in the answers to the questions of `wrong_answers`."""
    for yes, no in zip(questions(parameters, CANARY), questions(parameters, ABSENT), strict=True):
        (found, one), (missed, other) = asked(yes), asked(no)
        if tells(other, CANARY, OTHER):
            yield f"told by {no}"
        if found != missed or fails(found) or (is_steady and neutral(one, CANARY) != neutral(other, ABSENT)):
            yield f"told apart by {yes}: {found}, {missed}"


def wrong_plain_answer(asked: Any, query: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """Yield the error in the answer to a query that names no value."""
    status, plain = asked(query)
    if fails(status) or tells(plain, CANARY, OTHER):
        yield f"the plain answer, {status}"


def test_no_read_route_tells_the_canary(scene, ask):
    wrong = []
    with callers_with(Impersonal()):
        for path, parameters in read_operations():

            def asked(query: dict[str, str], address: str = address_of(path, scene)) -> tuple[int, str]:
                answer = ask("GET", f"{address}?{urlencode(query)}" if query else address)
                return answer.status, answer.body.decode()

            wrong += [(path, each) for each in wrong_answers(asked, parameters, is_steady=path != "/metrics")]
    assert wrong == []


def test_the_canary_is_there_to_be_told(scene, client):
    for path in ("/messages", "/messages/1-1", "/groups/warehouse/dead-letters"):
        assert tells(client.get(f"/streams/orders{path}").content.decode(), CANARY)
    assert scene.letter in client.get("/streams/orders/groups/warehouse/dead-letters").content.decode()


@pytest.mark.parametrize("pattern", ["^canary-ze", "^canary-zi"])
def test_no_report_on_real_events_tells_them_apart(scene, client, pattern):
    schema = {"properties": {"email": {"pattern": pattern, "maxLength": 22}, "customer": {"const": {"name": CANARY}}}}
    event_type = "/streams/orders/event-types/order-placed"

    with callers_with(Impersonal()):
        tested = client.post(f"{event_type}/backtest", json.dumps(schema), content_type="application/json")
        drafted = client.post(f"{event_type}/draft", "{}", content_type="application/json")

    assert (tested.json()["refused"], tested.json()["masked"]) == (2, True)
    without_question = tested.content.decode().replace(json.dumps(CANARY), "")
    assert not tells(without_question.replace(f'{{\\"name\\":\\"{CANARY}\\"}}', ""), OTHER)
    draft = drafted.json()["schema"]["properties"]["email"]
    assert {"enum", "const", "examples", "pattern", "minLength", "maxLength", "format"}.isdisjoint(draft)
    assert not tells(drafted.content.decode(), CANARY, OTHER)


def test_the_verdict_on_a_dead_letter_answers_no_question_about_a_masked_value(scene, client):
    seen = []
    for pattern in ("^canary-zo", "^canary-zi"):
        condition = {"if": {"properties": {"email": {"pattern": pattern}}}, "then": {"required": ["nothing"]}}
        contract("orders.order-placed", {**SCHEMA, **condition})
        holder.forget()
        with callers_with(Impersonal()):
            letters = client.get("/streams/orders/groups/warehouse/dead-letters").json()["dead_letters"]
            shown = [client.get(f"/streams/orders/groups/warehouse/dead-letters/{one['id']}").json() for one in letters]
        seen.append([(one["check"]["state"], one["check"]["violations"]) for one in shown])

    assert seen[0] == seen[1]


def test_a_rule_about_a_masked_value_does_not_call_a_dead_letter_broken(scene, client):
    rule = {"type": "string", "x-pii": True, "format": "email", "pattern": "@", "minLength": 9}
    contract("orders.order-placed", {**SCHEMA, "properties": {**SCHEMA["properties"], "email": rule}})
    holder.forget()

    with callers_with(Impersonal()):
        check = client.get(f"/streams/orders/groups/warehouse/dead-letters/{scene.letter}").json()["check"]

    assert (check["state"], check["violations"], check["detail"]) == ("kept", [], None)


# Those that only act, and the story of the audit log, which tells of the looks of this test.
PAGES = [name for name in OURS if name != "core_auditentry_story"]


@pytest.fixture
def impersonal_client(scene: Scene) -> Client:
    """A person of a custom role with every permission except that to see PII."""
    user = User.objects.create_user("anna", is_staff=True)
    role = Role.objects.create(name="all but PII")
    role.permissions.set(Permission.objects.exclude(codename="view_personal"))
    user.groups.add(role)
    client = Client()
    client.force_login(user)
    return client


def asked_of(client: Client, address: str) -> Callable[[Mapping[str, str]], tuple[int, str]]:
    """Return what asks a page, and returns its status and text."""

    def asked(query: Mapping[str, str]) -> tuple[int, str]:
        answer = client.get(address, query)
        page = answer.getvalue() if answer.streaming else answer.content
        # The draft that asks for it is a definition, written by a person.
        return answer.status_code, page.decode().replace("^canary-ze", "")

    return asked


def keep_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give all pages that are asked from here on the frame of the first one, without its long list of links."""
    each_context, kept = admin.site.each_context, {}

    def context_of_first(request: Any) -> dict[str, Any]:
        if not kept:
            kept.update(each_context(request), sidebar_navigation=[])
        return {**kept}

    monkeypatch.setattr(admin.site, "each_context", context_of_first)


def note_readers_of_queries(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return a set to which the address of each page is added that reads its query."""
    readers: set[str] = set()
    read = WSGIRequest.GET.func  # type: ignore[attr-defined]

    def noted(request: WSGIRequest) -> Any:
        readers.add(request.path)
        return read(request)

    noting = cached_property(noted)
    noting.__set_name__(WSGIRequest, "GET")
    monkeypatch.setattr(WSGIRequest, "GET", noting)
    return readers


def test_no_page_of_the_admin_tells_the_canary(scene, impersonal_client, monkeypatch):
    # The frame around a page is asked with the first page, and with each of them in the full run.
    wrong = [("index", each) for each in wrong_plain_answer(asked_of(impersonal_client, reverse("admin:index")))]
    readers = note_readers_of_queries(monkeypatch)
    if not FULL:
        keep_one_frame(monkeypatch)
    for name in PAGES:
        address = scene.address(name)
        if name == "bridges_bridge_dead_letters_one":
            address = url("bridges.bridge", "dead_letters_one", scene.stream.pk, "warehouse", scene.letter)
        if name == "bridges_archivedevent_change":
            address = url("bridges.archivedevent", "change", ArchivedEvent.objects.get(entry_id="9-1").pk)

        asked = asked_of(impersonal_client, address)
        wrong += [(name, each) for each in wrong_plain_answer(asked)]
        # Pages that read nothing of a query, and Django's own of one definition, are asked in the full run.
        is_of_django = name.endswith(("_add", "_change", "_delete", "_history")) and name not in PAGES_OF_OURS
        if not FULL and (is_of_django or address not in readers):
            continue
        # A list refuses all of a query for one name that it does not know; other pages pass over it.
        is_list = name.endswith("_changelist")
        # Looks of this very test are told in the audit log.
        is_steady = "auditentry" not in name
        wrong += [(name, each) for each in told_by_questions(asked, ["q"] if is_list else [], is_steady=is_steady)]
        if is_list:
            wrong += [(name, f"in an order: {each}") for each in wrong_plain_answer(asked, {"o": "1.-4.-5"})]
    assert len(readers) > 50
    assert wrong == []


def test_services_that_are_unknown_are_named_without_pii(scene, impersonal_client):
    page = text_of(impersonal_client.get("/admin/streams/service/integration/"))

    assert MASK in page


@pytest.mark.parametrize(
    ("marked", "models", "mean"),
    [
        ([], ["classifier"], 5.0),
        (["model_name"], [""], 5.0),
        (["latency_ms"], ["classifier"], None),
        (["model_name", "latency_ms"], [""], None),
    ],
)
def test_the_summary_of_archived_events_leaves_pii_out(db, admin_client, marked, models, mean):
    summary = {"title": "All", "completed": ["inference-complete"], "by": "model_name", "measure": "latency_ms"}
    stream = Stream.objects.create(name="inference-events", summaries=[summary])
    version = contract(
        "inference-events.inference-complete", {"properties": {name: {"x-pii": True} for name in marked}}
    )
    EventType.objects.create(stream=stream, name="inference-complete", contract=version.contract)
    user = User.objects.create_user("anna", is_staff=True)
    user.groups.add(Role.objects.get(name="viewer"))
    viewer = Client()
    viewer.force_login(user)
    ArchivedEvent.objects.create(
        stream="inference-events", entry_id="1-1", event_type="inference-complete",
        event={"model_name": "classifier", "latency_ms": 5}, occurred_at=timezone.now(), published_at=timezone.now(),
    )  # fmt: skip
    holder.forget()

    def rows(client: Client) -> Any:
        ((_, _, spans),) = client.get("/admin/bridges/archivedevent/summaries/").context["summaries"]
        return spans[0][1].rows

    assert [(row.name, row.mean) for row in rows(viewer)] == [(models[0], mean)]
    assert [(row.name, row.mean) for row in rows(admin_client)] == [("classifier", 5.0)]
