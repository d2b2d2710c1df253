"""Describe endpoints as OpenAPI 3.1 operations, and their models as its schemas."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema

from synapse.endpoints.declaration import MEANINGS, Endpoint, Example
from synapse.endpoints.models import Answer, about, maybe
from synapse.http.exchange import JSON
from synapse.problems import PROBLEM_JSON, UnsupportedMediaType

_REFERENCE = "#/components/schemas/{model}"
# The descriptions of path parameters.
_PARTS = {
    "stream": "The stream's name.",
    "group": "The consumer group's name.",
    "event_type": "The event type's name.",
    "service": "The service's name.",
    "key_id": "The key's id.",
}


_EVENT_TYPE = {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,100}$"}
_WRITTEN_BY_HAND: dict[str, Any] = {
    "Event": {
        "type": "object",
        "description": "Any JSON object that names its event type, whose contract defines the other properties.",
        "properties": {
            "event_type": _EVENT_TYPE,
            "event": {**_EVENT_TYPE, "description": "Another name of `event_type`, which some publishers use."},
        },
        "anyOf": [{"required": ["event_type"]}, {"required": ["event"]}],
        # True is the default, but without the keyword generated clients refuse further properties.
        "additionalProperties": True,
    },
    "CloudEvent": {
        "type": "object",
        "description": "A CloudEvent as JSON. Further members are extensions: texts, integers, booleans.",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"type": "string", "enum": ["1.0"]},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
            "type": {
                "type": "string",
                "minLength": 1,
                "description": "The event type, or a name that the stream's `cloudevents_types` maps to one.",
            },
            "datacontenttype": {"type": ["string", "null"]},
            "dataschema": {"type": ["string", "null"], "format": "uri"},
            "subject": {"type": ["string", "null"]},
            "time": {"type": ["string", "null"], "format": "date-time"},
            "data": {"type": ["object", "null"], "additionalProperties": True},
        },
        "additionalProperties": True,
    },
    "PublishedCloudEvent": {
        "description": "A CloudEvent that is published. It holds no binary data.",
        "allOf": [
            {"$ref": "#/components/schemas/CloudEvent"},
            {
                "type": "object",
                "properties": {
                    # Repeated, so that openapi-python-client skips these bodies. For operations with several JSON
                    # bodies it generates functions that accept no dict, and raise TypeError for a list.
                    "specversion": {"const": "1.0"},
                    "data_base64": {"type": "null"},
                },
            },
        ],
    },
}
CLOUDEVENT = {"$ref": "#/components/schemas/CloudEvent"}
CLOUDEVENTS = {"type": "array", "items": CLOUDEVENT}
PUBLISHED_CLOUDEVENT = {"$ref": "#/components/schemas/PublishedCloudEvent"}
EVENT = {"$ref": "#/components/schemas/Event"}
JSON_SCHEMA = {"$ref": "#/components/schemas/JsonSchema"}


# RFC 7694, 3.
_DECODED = {"Accept-Encoding": {"$ref": "#/components/headers/Accept-Encoding"}}
# RFC 9110, 8.8.3.
_TAG = {"ETag": {"$ref": "#/components/headers/ETag"}}


class Meaning(NamedTuple):
    """An answer: its meaning, and its possible headers (OpenAPI, Header Objects)."""

    answer: Any
    description: str
    headers: Mapping[str, Any] = MappingProxyType({})


class JsonSchema(RootModel[dict[str, Any]]):
    """A JSON Schema, draft 4 to 2020-12."""


class Violation(Answer):
    """A place of an event that breaks its contract, or of a CloudEvent that breaks its specification."""

    pointer: str = about("JSON Pointer (RFC 6901) into the event.")
    keyword: str = maybe("The keyword of JSON Schema that is broken, where a contract is.")
    schema_pointer: str = maybe("JSON Pointer into the contract's schema.")
    message: str


class Problem(Answer):
    """A problem document (RFC 9457). Further members depend on its type."""

    type: str = about("`urn:synapse:problem:…`, one for each kind of problem.")
    title: str
    status: int
    detail: str = about("One sentence for a person.")
    error: str = about("The detail again, for clients that look for this key.")
    trace_id: str = maybe("Of W3C Trace Context: of a request that belongs to a trace.")
    parameter: str = maybe("The parameter that cannot be used.")
    violations: list[Violation] = maybe()


class _Schemas(GenerateJsonSchema):
    """Generates schemas without noise: no titles made of names, no empty defaults, and no null where it counts as not
    given.

    Answers may get further members in later versions.
    """

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().model_schema(schema)
        found.pop("title", None)
        if self.mode == "serialization" and found.get("additionalProperties") is False:
            del found["additionalProperties"]
        return found

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        if self.mode == "validation":
            return self.generate_inner(schema["schema"])
        inner = self.generate_inner(schema["schema"])
        if isinstance(kind := inner.get("type"), str) and "enum" not in inner:
            return {**inner, "type": [kind, "null"]}
        return {"oneOf": [inner, {"type": "null"}]}

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        found = super().default_schema(schema)
        if not found.get("default", True) and found["default"] is not False:
            del found["default"]
        return found


def component_schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the schemas of all models and those written by hand, by name.

    Raises:
        ValueError: when two models have one name.
    """
    used: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {
        (Problem, "serialization"): None,
        (JsonSchema, "serialization"): None,
    }
    for each in endpoints:
        if each.body is not None:
            used[each.body, "validation"] = None
        used |= {(model, "validation"): None for model in map(_model_of, each.documented_body.values()) if model}
        answers = (*each.returns.values(), each.refusal)
        used |= {(model, "serialization"): None for model in map(_model_of, answers) if model}
    _, found = models_json_schema(
        list(used), ref_template=_REFERENCE, union_format="primitive_type_array", schema_generator=_Schemas
    )
    definitions: dict[str, Any] = found["$defs"]
    # Pydantic names two models of the same name by their modules, with “__”.
    if twice := [name for name in definitions if "__" in name]:
        raise ValueError(f"Two models of the API have one name: {', '.join(twice)}")
    return definitions | _WRITTEN_BY_HAND


def describe_operation(endpoint: Endpoint) -> dict[str, Any]:
    """Return the OpenAPI operation of an endpoint, without its security."""
    found: dict[str, Any] = {
        "operationId": endpoint.name,
        "description": endpoint.description,
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
    }
    if parameters := sorted(_describe_parameters(endpoint), key=lambda each: str(each["name"])):
        found["parameters"] = parameters
    if contents := _contents_of_body(endpoint):
        found["requestBody"] = {"content": contents}
        if _requires_body(endpoint):
            found["requestBody"]["required"] = True
    return {**found, "responses": _describe_responses(endpoint)}


def _requires_body(endpoint: Endpoint) -> bool:
    """Say whether a request without a body is always refused."""
    if endpoint.body is not None:
        return not endpoint.body.optional
    models = filter(None, map(_model_of, endpoint.documented_body.values()))
    return any(field.is_required() for model in models for field in model.model_fields.values())


def _describe_parameters(endpoint: Endpoint) -> Iterable[Mapping[str, Any]]:
    named = {each["name"] for each in endpoint.parameters}
    for part in re.findall(r"\{(\w+)\}", endpoint.path):
        if part not in named:
            described = {"description": _PARTS[part]} if part in _PARTS else {}
            yield {"in": "path", "name": part, "schema": {"type": "string"}, **described, "required": True}
    if endpoint.query is not None:
        schema = endpoint.query.model_json_schema(schema_generator=_Schemas, union_format="primitive_type_array")
        for name, each in schema.get("properties", {}).items():
            described = {"description": each.pop("description")} if "description" in each else {}
            yield {"in": "query", "name": name, "schema": each, **described}
    yield from endpoint.parameters


def _contents_of_body(endpoint: Endpoint) -> dict[str, Any]:
    contents = endpoint.documented_body
    if endpoint.body is not None:
        contents = {JSON: endpoint.body}
    examples = [each for each in endpoint.examples if each.status is None]
    return {
        media_type: _describe_content(_schema_of(schema), media_type, examples)
        for media_type, schema in contents.items()
    }


def _describe_responses(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, answer in endpoint.returns.items():
        status, media_types = (key, endpoint.media_types) if isinstance(key, int) else (key[0], key[1:])
        examples = [each for each in endpoint.examples if each.status == status]
        response = found.setdefault(str(status), {"content": {}, "description": ""})
        for media_type in media_types:
            response["content"][media_type] = _describe_content(_schema_of(answer_of(answer)), media_type, examples)
        if isinstance(answer, Meaning):
            response["description"] = answer.description
            response.update({"headers": dict(answer.headers)} if answer.headers else {})
    if endpoint.has_entity_tag:
        found["304"] = {
            "description": "The client has the current answer: If-None-Match names its tag.",
            "headers": _TAG,
        }
    refused = {} if endpoint.requires.open_to_all else {status: MEANINGS[status] for status in (401, 403)}
    problem = {PROBLEM_JSON: {"schema": _schema_of(Problem)}}
    if endpoint.refusal is not None:
        problem = {media_type: {"schema": _schema_of(endpoint.refusal)} for media_type in endpoint.media_types}
    for status, meaning in {**refused, **endpoint.problems}.items():
        found[str(status)] = {"content": problem, "description": meaning}
        if status == UnsupportedMediaType.status:
            found[str(status)]["headers"] = _DECODED
    return found


def answer_of(answer: Any) -> Any:
    """Return the documentation of an answer: a model, or a JSON schema."""
    return answer.answer if isinstance(answer, Meaning) else answer


def _schema_of(answer: Any) -> Any:
    if get_origin(answer) is list:
        return {"type": "array", "items": _schema_of(*get_args(answer))}
    return answer if isinstance(answer, Mapping) else {"$ref": _REFERENCE.format(model=answer.__name__)}


def _model_of(answer: Any) -> type[BaseModel] | None:
    answer = answer_of(answer)
    model = get_args(answer)[0] if get_origin(answer) is list else answer
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _describe_content(schema: Any, media_type: str, examples: Iterable[Example]) -> dict[str, Any]:
    shown = {
        "".join(map(str.capitalize, each.name.replace(",", "").split())): {"value": each.value, "summary": each.name}
        for each in examples
        if each.media_type == media_type
    }
    return {"schema": schema, **({"examples": shown} if shown else {})}


def union_model(*models: type[BaseModel], name: str) -> type[BaseModel]:
    """Return a model with this name for answers that have one of several models."""
    union: Any = models[0]
    for model in models[1:]:
        union = union | model
    return type(name, (RootModel[union],), {"__module__": __name__})
