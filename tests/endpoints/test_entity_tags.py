"""Entity tags: a client that has a document or a definition as it is now is not sent it again (RFC 9110, 13)."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from contracts.api.urls import ENDPOINTS as REGISTRY
from streams.snapshot import holder
from synapse.http.entity_tags import CACHE_CONTROL, names_tag, tag_of, with_tag
from synapse.http.exchange import MOST_JOINED, Request, Response
from synapse_project.endpoints import ENDPOINTS
from tests.access.conftest import bearer
from tests.both_ways import DjangoAlone, headers_of
from tests.endpoints.test_both_ways import EVENT_LOOP, PLACES
from tests.tables import for_each

TAG = '"a1b2"'
SUBJECT = "orders.order-placed"


@for_each(
    "header, is_named",
    [
        ('"a1b2"', True),
        ('W/"a1b2"', True),
        ("*", True),
        (" * ", True),
        ('"x", "a1b2"', True),
        ('"x","a1b2","y"', True),
        ('W/"x" , W/"a1b2"', True),
        ('"a, b", "a1b2"', True),
        ('  "a1b2"  ', True),
        (',, "a1b2"', True),
        ('nonsense, "a1b2"', True),
        ("", False),
        ('"x"', False),
        ("a1b2", False),
        ('"A1B2"', False),
        ('w/"a1b2"', False),
        ('"a1b2', False),
        ('"x, "a1b2""', False),
        ('x"a1b2"', False),
        ('"a1b2"x', False),
        ('"*"', False),
        ('*, "x"', False),
        ('""', False),
    ],
)
def test_a_list_of_tags_is_compared_weakly(header, is_named):
    assert names_tag(header, TAG, weakly=True) is is_named


@for_each(
    "header, is_named",
    [('"a1b2"', True), ('W/"a1b2"', False), ('W/"a1b2", "a1b2"', True), ("*", True), ("", False)],
)
def test_a_weak_tag_does_not_match_in_the_strong_comparison(header, is_named):
    assert names_tag(header, TAG, weakly=False) is is_named


def test_a_long_list_of_tags_is_read_in_one_pass():
    assert not names_tag('"' * 16_000, TAG, weakly=True)
    assert not names_tag('W/"' + "a," * 8_000, TAG, weakly=True)


def test_a_tag_changes_with_the_content_and_its_type_alone():
    assert tag_of("text/plain", b"a") == tag_of("text/plain", b"a")
    assert len({tag_of("text/plain", b"a"), tag_of("text/plain", b"b"), tag_of("text/html", b"a")}) == 3


@for_each(
    "method, response",
    [
        ("POST", Response(body=b"{}")),
        ("GET", Response(status=404, body=b"{}")),
        ("GET", Response(status=207, body=b"{}")),
        ("GET", Response(body=b"[", rest=(b"x" * MOST_JOINED, b"]"))),
    ],
)
def test_other_answers_have_no_tag_and_no_condition(method, response):
    asked = Request(method=method, path="/", headers={"if-none-match": "*"})

    assert with_tag(asked, response) is response


TAGGED = [each for each in ENDPOINTS if each.has_entity_tag]
OTHERS = [each for each in ENDPOINTS if each.method == "GET" and not each.has_entity_tag]


@pytest.fixture
def ways(event_loop_client, define, redis):
    define("orders", {"order-placed": {"type": "object"}})
    redis.xadd("orders", {"event": "order-placed"}, id="1-1")

    def ways(endpoint):
        is_both = (endpoint.method, endpoint.path) in EVENT_LOOP
        return (DjangoAlone(), event_loop_client) if is_both else (DjangoAlone(),)

    return ways


def conditions_hold(way, path, headers=None):
    """Ask for a document again, by each kind of condition; return its tag."""
    headers = headers or {}
    first = way("GET", path, headers=headers)
    assert (first.status, first.headers["cache-control"]) == (200, CACHE_CONTROL), path
    assert {"authorization", "cookie", "x-api-key"} <= set(first.headers["vary"].lower().split(", "))
    tag = first.headers["etag"]
    for condition in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        for method in ("GET", "HEAD"):
            again = way(method, path, headers=headers | {"if-none-match": condition})

            assert (again.status, again.body) == (304, b""), (path, condition)
            assert "content-type" not in again.headers
            # Of Django alone it is the web server's.
            assert again.headers.get("content-length") == ("0" if way.name == "django" else None)
            for name in ("etag", "cache-control", "vary"):
                assert again.headers[name] == first.headers[name]
    other = way("GET", path, headers=headers | {"if-none-match": '"x"'})
    assert (other.status, other.body, other.headers["etag"]) == (200, first.body, tag)
    head = way("HEAD", path, headers=headers)
    assert (head.status, head.headers["etag"]) == (200, tag)
    return tag


@for_each("endpoint", TAGGED)
def test_a_definition_is_not_sent_to_a_client_that_has_it(ways, endpoint):
    path = endpoint.path.format(**PLACES)

    tags = [conditions_hold(way, path) for way in ways(endpoint)]

    assert len(set(tags)) == 1


@for_each("endpoint", TAGGED)
def test_both_ways_answer_a_condition_with_the_same_headers(ways, endpoint):
    path = endpoint.path.format(**PLACES)

    answers = [headers_of(way("GET", path, headers={"if-none-match": "*"})) for way in ways(endpoint)]

    assert all(each == answers[0] for each in answers)


@for_each("endpoint", OTHERS)
def test_events_and_statistics_have_no_tag_and_are_not_kept(ways, endpoint):
    if endpoint.on_event_loop is not None and endpoint.on_event_loop.is_endless:
        return  # no answer of it is ever complete

    answer = DjangoAlone()("GET", endpoint.path.format(**PLACES), headers={"if-none-match": "*"})

    assert answer.status != 304
    assert "etag" not in answer.headers
    assert "no-store" in answer.headers["cache-control"]


def registry_paths():
    named = {"subject": SUBJECT, "version": "1", "namespace": "-", "resource": "orders"}
    # No version here has metadata, and no test knows a guid.
    found = [each for each in REGISTRY if each.method == "GET" and not re.search("guid|/metadata$", each.path)]
    return found, named


@for_each("endpoint", registry_paths()[0])
def test_a_document_of_the_registry_is_not_sent_to_a_client_that_has_it(ways, redis, endpoint):
    from contracts.models import Contract, ContractVersion

    Contract.objects.filter(subject=SUBJECT).update(compatibility="BACKWARD", mode="READWRITE")
    version = ContractVersion.objects.filter(contract__subject=SUBJECT).first()
    path = "/registry" + endpoint.path.format(**registry_paths()[1], id=version.schema_id)

    of_json = conditions_hold(DjangoAlone(), path)
    of_vendor = conditions_hold(DjangoAlone(), path, {"accept": "application/vnd.schemaregistry.v1+json"})

    assert of_json != of_vendor


def test_a_tag_changes_when_the_definition_does(event_loop_client, define):
    stream = define("orders")
    before = event_loop_client("GET", "/streams").headers["etag"]

    stream.max_length = 1234
    stream.save()
    holder.refresh()
    after = event_loop_client("GET", "/streams", headers={"if-none-match": before})

    assert (after.status, after.json["streams"][0]["max_length"]) == (200, 1234)
    assert after.headers["etag"] != before


def test_a_caller_who_may_see_less_gets_another_tag_and_none_of_what_others_keep(
    event_loop_client, define, settings, key_of
):
    settings.AUTH = "required"
    define("orders")
    define("payments")
    one, other = bearer(key_of("one", publishes=["orders"])), bearer(key_of("other", publishes=["payments"]))
    tag = event_loop_client("GET", "/streams", headers=one).headers["etag"]

    seen = event_loop_client("GET", "/streams", headers={**other, "if-none-match": tag})
    anonymous = event_loop_client("GET", "/streams", headers={"if-none-match": tag})
    hidden = event_loop_client("GET", "/streams", headers={"if-none-match": "*"})

    assert (seen.status, [each["name"] for each in seen.json["streams"]]) == (200, ["payments"])
    assert (anonymous.status, hidden.status) == (401, 401)


@for_each("path", ["/openapi.json", "/docs"])
def test_the_documents_of_the_api_are_not_sent_again(db, path):
    conditions_hold(DjangoAlone(), path)


def test_the_page_of_the_api_keeps_its_content_policy_with_304(db):
    page = DjangoAlone()("GET", "/docs")
    again = DjangoAlone()("GET", "/docs", headers={"if-none-match": page.headers["etag"]})

    assert again.headers["content-security-policy"] == page.headers["content-security-policy"] != ""
    assert "script-src 'self'" in page.headers["content-security-policy"]


@pytest.mark.parametrize("kind", ["schema", pytest.param("python", marks=pytest.mark.process)])
def test_a_downloaded_schema_and_its_code_are_not_sent_again(db, define, kind):
    from contracts.models import Contract

    define("orders", {"order-placed": {"type": "object", "properties": {"order_id": {"type": "integer"}}}})
    contract = Contract.objects.get(subject=SUBJECT)
    client = Client()
    client.force_login(User.objects.create_superuser("ada"), "django.contrib.auth.backends.ModelBackend")
    path = f"/admin/contracts/contract/{contract.pk}/versions/1/{kind}/"

    first = client.get(path)
    again = client.get(path, headers={"if-none-match": first["ETag"]})

    assert (first.status_code, first["Cache-Control"]) == (200, CACHE_CONTROL)
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert again["Content-Security-Policy"] == first["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert Client().get(path, headers={"if-none-match": first["ETag"]}).status_code == 302
