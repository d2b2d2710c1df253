"""Every endpoint, on the fast path and in Django: hostile input is refused alike, and answers are as documented."""

from typing import Any
from urllib.parse import quote

import orjson
import pytest

from synapse.endpoints.openapi import component_schemas, describe_operation
from synapse_project.endpoints import ENDPOINTS, ROUTES
from tests.both_ways import DjangoAlone, EventLoopClient, headers_of
from tests.tables import for_each

EVENT_LOOP = {(route.method, route.path) for route in ROUTES}
PLACES = {
    "stream": "orders",
    "event_type": "order-placed",
    "group": "billing",
    "id": "1-1",
    "silence": "1",
    "service": "shop",
    "key_id": "a",
}
GOOD = {
    "stream": "orders",
    "consumer_group": "billing",
    "consumer_name": "one",
    "entry_ids": ["1-1"],
    "block_ms": 0,
    "event_type": "order-placed",
    "payload": {},
    "name": "other",
    "to": "end",
    "all": True,
    "reason": "a test",
    "ends_at": "2026-11-24T02:00:00Z",
}
# What Python's or Pydantic's own readers would take for a number or a flag.
NUMBERS = [
    "1_000",
    " 7 ",
    "7 ",
    "+5",
    "-5",
    "10.0",
    "1e3",
    "nan",
    "inf",
    "yes",
    "٣",
    "0x10",
    "9" * 4000,
    str(2**64 + 1),
]
BODIES = {
    "a key twice": b'{"a":1,"a":2}',
    "a known key twice": b'{"%s":null,"%s":null}',
    "2^64+1": b'{"%s":18446744073709551617}',
    "4,000 digits": b'{"%s":' + b"9" * 4000 + b"}",
    "NaN": b'{"%s":NaN}',
    "1e400": b'{"%s":1e400}',
    "NUL": b'{"%s":"a\\u0000b"}',
    "a lone surrogate": b'{"%s":"\\ud800"}',
    "a list": b"[]",
    "a text": b'"x"',
    "two documents": b"{} {}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "not UTF-8": b'{"%s":"\xff"}',
}
# Of each type of a member: values of other types, which a lax reader would turn into it.
MISTAKEN = {
    "integer": [True, 1.0, "1", [], {}, -(2**63), 2**64 - 1],
    "number": [True, "1", [], {}, -1],
    "boolean": [0, 1, "true", "yes", "", [], {}],
    "string": [0, 1.5, True, [], {}],
    "array": [0, "x", "1-1", {}, [0], [None], [[]]],
}
# Of a stream that is not there: a thread of Django's sees no other.
TARGETS = [
    (each.method, each.path.format(**{**PLACES, "stream": "none", "service": "none"}))
    for each in ENDPOINTS
    # What those find depends on the machine, and a thread's change of keys waits for the test's own transaction. The
    # live statistics and events of all streams do not end, and Django neither exports nor opens a WebSocket.
    if each.name
    not in (
        *("metrics", "health", "readiness", "issue_key", "revoke_key", "rotate_key"),
        *("watch_stats", "watch_streams", "open_websocket", "export_events"),
    )
]
WITH_QUERY = [each for each in ENDPOINTS if each.query is not None]
WITH_BODY = [each for each in ENDPOINTS if each.body is not None]


@pytest.fixture
def ways(redis, define, db):
    """The fast path and Django, each asked alone: a thread of Django's would not see the rows of the test."""
    from streams.models import Service

    define("orders", {"order-placed": None})
    Service.objects.create(name="shop")
    redis.xadd("orders", {"event": "order-placed"}, id="1-1")
    redis.xgroup_create("orders", "billing", "$")
    express = EventLoopClient()

    def ask(endpoint: Any, query: str = "", body: bytes = b"") -> list[Any]:
        path = endpoint.path.format(**PLACES) + query
        asked = [DjangoAlone()]
        if (endpoint.method, endpoint.path) in EVENT_LOOP:
            asked.append(express)
        return [way(endpoint.method, path, body) for way in asked]

    yield ask
    express.close()


def body_with(endpoint, name, value) -> bytes:
    known = {each: GOOD[each] for each in endpoint.body.names() if each in GOOD and each != "all"}
    return orjson.dumps({**known, name: value})


def types_of(endpoint):
    """Return the type of each member of a body, where it has one."""
    found = component_schemas([endpoint])[endpoint.body.__name__]["properties"]
    return {name: schema["type"] for name, schema in found.items() if isinstance(schema.get("type"), str)}


@for_each("endpoint", WITH_QUERY)
def test_a_number_in_a_query_is_digits_and_nothing_else(ways, endpoint):
    typed = [
        each["name"]
        for each in describe_operation(endpoint).get("parameters", ())
        if each["schema"].get("type") == "integer"
    ]
    body = b"{}" if endpoint.body else b""

    for parameter in typed:
        for text in NUMBERS:
            if endpoint.name == "list_audit_entries" and parameter == "before" and text in (" 7 ", "7 "):
                continue  # spaces around it were always passed over here
            answers = ways(endpoint, f"?{parameter}={quote(text)}", body)

            assert {(answer.status, answer.json["parameter"]) for answer in answers} == {(400, parameter)}, text
            assert len({answer.body for answer in answers}) == 1


@for_each("endpoint", WITH_QUERY)
def test_a_parameter_that_is_unknown_or_given_twice_is_refused(ways, endpoint):
    # A ticket is looked at first: it tells who asks.
    names = [name for name in endpoint.query.names() if name not in (*endpoint.query.repeatable, "ticket")]

    for query, parameter in [("?zzz=1", "zzz"), *((f"?{name}=1&{name}=1", name) for name in names)]:
        for answer in ways(endpoint, query):
            assert (answer.status, answer.json["type"]) == (400, "urn:synapse:problem:bad-parameter"), query
            assert answer.json["parameter"] == parameter
    known = endpoint.query.names()
    listed = f"Known are {', '.join(known)}." if known else "This route takes none."
    assert ways(endpoint, "?zzz=1")[0].json["detail"] == f"There is no parameter “zzz” here. {listed}"


@for_each("endpoint", WITH_BODY)
def test_a_body_that_is_no_strict_json_object_is_refused(ways, endpoint):
    name = next(iter(endpoint.body.names())).encode()

    for what, form in BODIES.items():
        body = form.replace(b"%s", name)

        answers = ways(endpoint, body=body)

        assert {answer.status for answer in answers} == {400}, what
        assert len({answer.body for answer in answers}) == 1, what


@for_each("endpoint", WITH_BODY)
def test_a_member_of_another_type_is_refused_by_its_name(ways, endpoint):
    for name, kind in types_of(endpoint).items():
        for value in MISTAKEN.get(kind, ()):
            answers = ways(endpoint, body=body_with(endpoint, name, value))

            assert {(answer.status, answer.json.get("parameter")) for answer in answers} == {(400, name)}, value
            assert len({answer.body for answer in answers}) == 1


@for_each("endpoint", WITH_BODY)
def test_a_body_of_another_content_type_is_refused(ways, endpoint):
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = DjangoAlone()(endpoint.method, endpoint.path.format(**PLACES), b"{}", {"content-type": kind})

        assert answer.status == 415


@for_each("method, path", [("GET", "/nowhere"), ("GET", "/registry/subjects"), ("GET", "/openapi.json"), *TARGETS])
def test_all_headers_of_an_answer_are_alike_on_both_ways_in(event_loop_client, method, path):
    alone, served = (way(method, path, b"{}") for way in (DjangoAlone(), event_loop_client))

    assert served.status == alone.status
    assert headers_of(served) == headers_of(alone)
