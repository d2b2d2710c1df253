"""A hostile schema is refused within a second of work: nothing is fetched, nothing is stored, nothing hangs."""

import json
import socket

import pytest

from contracts.models import Contract, ContractVersion, Schema
from synapse.schema import validator
from tests.contracts.registry_api.conftest import Registry
from tests.patience import that_ends
from tests.tables import for_each


def doubling(word, levels=40):
    """Return a schema that a value must be checked against 2 ** levels times."""
    twice = {f"a{n}": {word: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**twice, f"a{levels}": {"type": "object"}}, "$ref": "#/$defs/a0"}


def elsewhere(address):
    return {"properties": {"a": {"$ref": address}}}


HOSTILE = {
    "a reference by http": elsewhere("http://127.0.0.1:9/schema.json"),
    "a reference by https": elsewhere("https://127.0.0.1:9/schema.json"),
    "a reference to a host": elsewhere("//127.0.0.1:9/schema.json"),
    "a reference to a file": elsewhere("file:///etc/passwd"),
    "a reference by ftp": elsewhere("ftp://127.0.0.1:9/schema.json"),
    "a reference that brings its data": elsewhere("data:application/json,{}"),
    "a reference beside its own address": {"$id": "http://127.0.0.1:9/a/b", "properties": {"a": {"$ref": "c"}}},
    "a dynamic reference": {"properties": {"a": {"$dynamicRef": "http://127.0.0.1:9/x#y"}}},
    "a draft elsewhere": {"$schema": "http://127.0.0.1:9/draft"},
    "itself": {"$ref": "#"},
    "two that mean each other": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "$ref": "#/$defs/a",
    },
    "a pattern with look-around": {"pattern": "^(?!x)(a+)+$"},
    "a pattern that backtracks elsewhere": {"pattern": "(a+)+$"},
    "a pattern with two ways through": {"properties": {"a": {"pattern": "(a|aa)+$"}}},
    "a pattern of names that backtracks elsewhere": {"patternProperties": {"(a+)+$": {}}},
    "a pattern that repeats repeats": {"pattern": "((a{1,1000}){1,1000}){1,1000}"},
    "exponential anyOf": doubling("anyOf"),
    "exponential allOf": doubling("allOf"),
    "exponential oneOf": doubling("oneOf"),
    "a chain of 2,000 references": {
        "$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(2_000)} | {"a2000": {}},
        "$ref": "#/$defs/a0",
    },
    "10,000 properties": {"properties": {f"property-{n}": {} for n in range(10_000)}},
    "an enum of 1 MiB": {"enum": [f"{n:016}" for n in range(56_000)]},
    "a title over the limit": {"title": "x" * 65_536},
    "a schema that is too deep": json.loads('{"not":' * 100 + "{}" + "}" * 100),
}


@pytest.fixture(autouse=True)
def no_connection(monkeypatch):
    """Opening a connection fails the test, and so does asking for a name."""

    def refuse(*asked, **_):
        raise AssertionError(f"a connection was opened: {asked}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@for_each("name", HOSTILE)
@for_each("path", ["/subjects/a/versions", "/compatibility/subjects/a/versions/latest"])
def test_a_hostile_schema_is_refused_before_it_can_hurt(db, name, path):
    with that_ends():
        answer = Registry()("POST", path, {"schema": json.dumps(HOSTILE[name]), "schemaType": "JSON"})

    assert 400 <= answer.status < 500
    assert answer.json["message"]
    assert not Contract.objects.exists()
    assert not Schema.objects.exists()


# A schema, and what changes in it.
NEEDS_Z = {"required": ["z"]}
SLOW = {
    "a shape that means itself twice": (
        {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}, "required": ["b"]}]},
        NEEDS_Z,
    ),
    "many large numbers": ({"multipleOf": 1e-300, "minimum": -1e300, "maximum": 1e300}, NEEDS_Z),
    "a wide choice": ({"anyOf": [{"properties": {f"p{n}": {"type": "integer"}}} for n in range(600)]}, NEEDS_Z),
    "a long enum": ({"enum": [f"value-{n}" for n in range(3_000)]}, {"enum": [f"value-{n}" for n in range(2_999)]}),
}


@pytest.mark.parametrize(("document", "change"), SLOW.values(), ids=SLOW.keys())
def test_comparing_what_is_hard_to_compare_ends_in_time(db, document, change):
    registry = Registry()
    assert registry.register("a", document).status == 200
    with that_ends():
        answer = registry.register("a", {**document, **change})

    assert answer.status == 409
    assert ContractVersion.objects.count() == 1


def nested(levels, leaf):
    value = leaf
    for _ in range(levels):
        value = {"a": value}
    return value


MEAN_THEMSELVES = {
    "a list": ({"type": "object", "properties": {"a": {"$ref": "#"}}}, "must be of type object"),
    "two arms with one name": (
        {"type": "object", "allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]},
        "must be of type object",
    ),
}


@pytest.mark.parametrize(("document", "words"), MEAN_THEMSELVES.values(), ids=MEAN_THEMSELVES.keys())
def test_why_a_deep_event_is_refused_is_told_in_time(document, words):
    compiled = validator.compile_schema(document)
    with that_ends():
        violations = compiled.violations(nested(60, 5))

    assert words in violations[0].message


def test_violations_of_a_recursive_schema_are_reported_for_shallow_events():
    document, _ = MEAN_THEMSELVES["two arms with one name"]

    violations = validator.compile_schema(document).violations(nested(3, 5))

    assert {violation.pointer for violation in violations} == {"/a/a/a"}
