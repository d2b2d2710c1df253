"""Models of the registry's requests and answers, for the OpenAPI document alone: no request is parsed with them."""

from typing import Any

from pydantic import BaseModel, Field

from synapse.endpoints import about, maybe


class Model(BaseModel):
    """A JSON object."""


class Reference(Model):
    """A version of another subject, and the name by which `$ref` calls it."""

    name: str
    subject: str
    version: int = about("-1 is the latest when a schema is registered.")


class SchemaBody(Model):
    """A schema to be registered, looked up or compared."""

    text: str = about("The JSON Schema, as a text.", alias="schema")
    schemaType: str = about("JSON.")
    references: list[Reference] = maybe()
    metadata: dict[str, Any] = maybe("Kept and given back; `properties` can be asked for.")
    ruleSet: dict[str, Any] = maybe("Kept and given back.")


class Schema(Model):
    """A schema."""

    text: str = about("The JSON Schema, as a text.", alias="schema")
    schemaType: str
    guid: str
    references: list[Reference] = maybe()
    metadata: dict[str, Any] = maybe()
    ruleSet: dict[str, Any] = maybe()
    maxId: int = maybe("The highest id, when it is asked for.")


class Registered(Model):
    """A version of a subject."""

    id: int = about("The schema's global id.")
    version: int
    guid: str
    text: str = Field(alias="schema")
    schemaType: str
    references: list[Reference] = maybe()
    metadata: dict[str, Any] = maybe()
    ruleSet: dict[str, Any] = maybe()
    ts: int = about("When it was activated, in milliseconds since 1970.")
    deleted: bool = maybe("True of one that is hidden.")


class Version(Registered):
    """A version of a subject."""

    subject: str


class VersionOfSchema(Model):
    """A subject and the number of a version."""

    subject: str
    version: int


class ContextId(Model):
    """An id and its context."""

    context: str
    id: int


class Difference(Model):
    """A difference that makes two schemas incompatible."""

    rule: str
    direction: str = about("BACKWARD: the new schema reads what was written before. FORWARD: the other way.")
    old_pointer: str = about("JSON Pointer (RFC 6901) into the earlier schema.")
    new_pointer: str = about("JSON Pointer into the new one.")
    version: int = about("The earlier version.")
    description: str
    fix: str = about("The smallest change of the new schema that helps.")
    decided: bool = about("False when it was too hard to tell, which counts as a break.")
    witness: Any = maybe("A document that one schema accepts and the other refuses.")


class Compatibility(Model):
    """Whether a schema is compatible."""

    is_compatible: bool
    messages: list[str] = maybe()
    differences: list[Difference] = maybe()


class _Settings(Model):
    compatibilityPolicy: str = maybe("LENIENT or STRICT.")
    normalize: bool = maybe("Keep schemas without layout, where a request does not say.")
    compatibilityGroup: str = maybe("Kept and given back, as those below.")
    defaultMetadata: dict[str, Any] = maybe()
    overrideMetadata: dict[str, Any] = maybe()
    defaultRuleSet: dict[str, Any] = maybe()
    overrideRuleSet: dict[str, Any] = maybe()


class ConfigBody(_Settings):
    """Compatibility settings in a request."""

    compatibility: str = maybe()


class Config(_Settings):
    """Compatibility settings in an answer."""

    compatibilityLevel: str


class ModeBody(Model):
    """A mode."""

    mode: str = about("READWRITE, READONLY or READONLY_OVERRIDE.")


class ServerId(Model):
    """The registry's name."""

    id: str
    scope: dict[str, Any]


class ServerVersion(Model):
    """The registry's version."""

    version: str
    commitId: str


class Refusal(Model):
    """The registry's refusal, which lists all differences of an incompatible schema."""

    error_code: int
    message: str
    differences: list[Difference] = maybe()
