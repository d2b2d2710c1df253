"""The effects of an endpoint's declaration, and declarations that are refused."""

from typing import Annotated

import pytest
from pydantic import Field

from synapse.endpoints import Answer, Body, Query, QueryInt, Sentence, endpoint
from synapse.endpoints.openapi import component_schemas, describe_operation
from synapse.http.exchange import Request
from synapse.problems import BadParameter
from tests.tables import for_each


class Found(Answer):
    """An answer."""

    name: str


class Asked(Body):
    """A body."""

    labels: list[str] = Field(max_length=3)
    color: Annotated[str, Sentence("“{name}” is a color."), Field(pattern="red|blue")] = "red"
    size: int | None = Field(None, ge=1, le=9)
    note: str = Field("", max_length=5)


class AskedQuery(Query):
    count: QueryInt = Field(10, ge=1, le=20)


def declared(answer):
    @endpoint("POST", "/things/{thing}", "Find a thing", answer, tag="things", query=AskedQuery, body=Asked)
    def find_thing(call):
        """A thing."""

    return find_thing


def test_the_refusals_of_a_query_and_a_body_are_documented_without_being_listed():
    documented = describe_operation(declared(Found))

    assert sorted(documented["responses"]) == ["200", "400", "401", "403", "413", "415"]
    assert documented["operationId"] == "find_thing"
    assert [each["name"] for each in documented["parameters"]] == ["count", "thing"]


def test_two_models_of_one_name_are_refused():
    other = type("Found", (Answer,), {"__module__": "elsewhere"})

    with pytest.raises(ValueError, match="have one name"):
        component_schemas([declared(Found), declared(other)])


@for_each(
    "body, parameter, sentence",
    [
        (b'{"labels":["a",1]}', "labels", "“labels” is a list of texts."),
        (b'{"labels":["a"],"color":"green"}', "color", "“color” is a color."),
        (b'{"labels":["a"],"size":10}', "size", "“size” is a whole number from 1 to 9."),
        (b'{"labels":[],"note":"123456"}', "note", "“note” is at most 5 characters."),
        (b'{"labels":["a","b","c","d"]}', "labels", "“labels” has at most 3 items."),
        (b'{"labels":null}', "labels", "“labels” is missing."),
        (b'{"labels":[],"shape":1}', "shape", "“shape” is not known here; labels, color, size, note are."),
    ],
)
def test_a_body_that_does_not_fit_is_refused_in_a_sentence_about_one_member(body, parameter, sentence):
    request = Request(method="POST", path="/", headers={"content-type": "application/json"}, body=body)

    with pytest.raises(BadParameter) as refused:
        Asked.from_request(request)

    assert (refused.value.members, refused.value.detail) == ({"parameter": parameter}, sentence)
    # Neither the error nor what was sent is kept with it.
    assert refused.value.__context__ is None


def test_a_query_without_parameters_is_made_once():
    request = Request(method="GET", path="/")

    assert AskedQuery.from_request(request) is AskedQuery.from_request(request)
