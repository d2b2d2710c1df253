"""JSON Schemas as contracts: compiling a schema, and checking an event against it.

A schema is treated as hostile. Nothing is ever fetched: `$ref` reaches only into the schema itself and its references.
`$schema` must be one of the published drafts, and patterns run on a linear-time engine, so look-around and
back-references are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import islice
from math import inf
from typing import Any

import jsonschema_rs
import orjson

from synapse.errors.contracts import BadSchema, SchemaTooLarge, TooCostly, UnresolvedReference
from synapse.formats import exact_json, strict_json
from synapse.formats.exact_json import ExactNumber
from synapse.schema.cost.guard import MAX_STEPS, QUICK_STEPS, Cost, Guard, copying_cost
from synapse.schema.cost.model import CostModel, compute_cost
from synapse.schema.ecma_patterns import author_form, author_path
from synapse.schema.explanation import Explainer, Finding, OutOfBudget, finding_of
from synapse.schema.jsonschema_engine import validator_for
from synapse.schema.pii.marks import Marks, marks_of
from synapse.schema.references import DRAFT_2020_12, NAMELESS, ReferenceResolver
from synapse.schema.regex_safety import reason_of_refusal
from synapse.schema.text_readings import TYPES, Readings, accepted_reading, property_types
from synapse.schema.violations import Violation, json_pointer

MAX_SCHEMA_BYTES = 64 * 1024
MAX_VIOLATIONS = 50
_LISTED_STEPS = 200_000
"""The number of steps, by the costs of `synapse.schema.cost`, up to which the validator itself lists the errors of an
event."""
# The names of types in other languages, which are not similar in spelling.
_OTHER_NAMES = {
    **dict.fromkeys(("list", "tuple", "set"), "array"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("dict", "map", "record", "struct"), "object"),
    **dict.fromkeys(("none", "nil", "undefined"), "null"),
    **dict.fromkeys(("date", "datetime", "time", "uuid", "text", "char"), "string"),
    **dict.fromkeys(("long", "short"), "integer"),
}
DRAFTS = (
    DRAFT_2020_12,
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
)


@dataclass(frozen=True)
class CompiledSchema:
    """A compiled schema that checks events. Properties that most contracts never need are computed on first use."""

    document: Mapping[str, Any]
    _validator: jsonschema_rs.Validator
    _explainer: Explainer
    # The PII marks of events, None when there are none.
    personal: Marks | None = None
    # The cost of checking an event, None while it is unknown.
    _cost: Cost | None = None

    @property
    def references(self) -> Mapping[str, Mapping[str, Any]]:
        """The other schemas that its `$ref` may name."""
        return self._explainer.references

    @cached_property
    def property_types(self) -> Mapping[str, frozenset[str]]:
        """The JSON types of the properties that the schema names, except properties of all types."""
        return property_types(ReferenceResolver(self.document, self.references))

    @cached_property
    def _guard(self) -> Guard | None:
        """The estimate of an event's cost, None when even the largest events are checked at once."""
        return Guard.of(self._model.whole if self._cost is None else self._cost)

    @property
    def _model(self) -> CostModel:
        """The cost model of the schema. It is not cached, because it is used once or twice."""
        return CostModel(ReferenceResolver(self.document, self.references))

    @cached_property
    def _rate(self) -> float | None:
        """The cost of one value when the validator itself may list the errors, None when it may not."""
        return self._model.listing_rate()

    def accepts(self, event: Any) -> bool:
        """Say whether the event is valid, without reasons, which is fast.

        Raises:
            TooCostly: when checking it could take more than an event may take.
        """
        if self._guard is not None and self._guard.steps(event) > MAX_STEPS:
            raise TooCostly
        return self._validator.is_valid(exact_json.with_plain_numbers(event))

    def accepts_at_once(self, event: Any, length: float = inf) -> bool | None:
        """Say whether the event is valid; None when checking it could take more than `QUICK_STEPS`.

        `length` is an upper bound of the event's JSON in bytes: a short event need not be measured.
        """
        guard = self._guard
        if guard is not None and length > guard.quick_length and guard.steps(event) > QUICK_STEPS:
            return None
        return self._validator.is_valid(exact_json.with_plain_numbers(event) if ExactNumber.exist else event)

    def check(self, event: Any, *, explain: bool = True, steps: float | None = None) -> list[Violation] | None:
        """Return the event's violations, or None when it is valid.

        Args:
            event: a decoded JSON value.
            explain: whether to list the violations; otherwise the list is empty.
            steps: the limit for checking, and again for explaining, in the steps of `synapse.schema.cost`.

        Raises:
            TooCostly: when checking it could take more than an event may take.
            OutOfBudget: when it takes more than `steps`.
        """
        needed = 0 if self._guard is None else self._guard.steps(event)
        if needed > MAX_STEPS:
            raise TooCostly
        if steps is not None and needed > steps:
            raise OutOfBudget(needed)
        if self._validator.is_valid(exact_json.with_plain_numbers(event)):
            return None
        return [finding.as_violation() for finding in self.findings(event, steps=steps)] if explain else []

    @property
    def fingerprint(self) -> str:
        """A digest that is equal for schemas with equal content and equal references."""
        return self._explainer.fingerprint

    def accepted_reading(self, event: dict[str, Any], others: Callable[[], Mapping[str, Readings]]) -> dict[str, Any]:
        """Return an event of text fields in a reading that the contract accepts; see `synapse.schema.text_readings`."""
        return accepted_reading(self, event, others)

    def violations(self, event: Any) -> list[Violation]:
        """Return the event's violations, at most `MAX_VIOLATIONS`. This is the slow search for a refused event."""
        return [finding.as_violation() for finding in self.findings(event)]

    def findings(self, event: Any, *, steps: float | None = None) -> list[Finding]:
        """Return the violations without sentences, for callers that check many events and show few of them.

        Raises:
            OutOfBudget: when that takes more than `steps`; without `steps`, the search goes as far as possible.
        """
        event = exact_json.with_plain_numbers(event)
        # Each error holds a copy of its value.
        if self._rate is not None and self._rate * copying_cost(event) <= _LISTED_STEPS:
            errors = islice(self._validator.iter_errors(event), MAX_VIOLATIONS)
            return [finding_of(error) for error in errors]
        if steps is not None:
            return self._explainer.explain_within(steps, event, limit=MAX_VIOLATIONS)
        return self._explainer.explain(event, limit=MAX_VIOLATIONS)


def parse_schema(text: str | bytes) -> dict[str, Any]:
    """Parse a schema's text.

    Raises:
        SchemaTooLarge: when the text is longer than `MAX_SCHEMA_BYTES`.
        BadSchema: when the text is not strict JSON, or not an object.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_SCHEMA_BYTES:
        raise SchemaTooLarge(f"The schema is {len(data)} bytes long; at most {MAX_SCHEMA_BYTES} are accepted.")
    try:
        document = strict_json.loads(data, with_doubles=True)
    except strict_json.BadJSON as error:
        raise BadSchema(str(error)) from None
    if not isinstance(document, dict):
        raise BadSchema("A contract's schema is a JSON object.", pointer="")
    return document


def load_schema(text: str) -> dict[str, Any]:
    """Return the document of a text that `parse_schema` accepted before it was saved."""
    document: dict[str, Any] = orjson.loads(text)
    return document


def compile_schema(
    document: Mapping[str, Any],
    references: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    is_registered: bool = False,
) -> CompiledSchema:
    """Compile a schema. `references` are the other schemas that its `$ref` may name.

    With `is_registered`, a costly schema is not refused: it checks the events whose cost is within the limit.

    Raises:
        UnresolvedReference: when it refers to a schema that is neither in it nor in `references`.
        BadSchema: when it is not valid by its draft, or checks nothing because it only refers to itself.
    """
    draft = document.get("$schema", DRAFT_2020_12)
    if not isinstance(draft, str) or draft.rstrip("#") not in DRAFTS:
        raise BadSchema(_unknown_draft(draft), pointer="/$schema")
    if document.get("$ref") in ("#", "#/"):
        raise BadSchema("“$ref” points at the schema itself, so it would check nothing.", pointer="/$ref")
    resolver = ReferenceResolver(document, references or {})
    missing: list[str] = []

    def retrieve(address: str) -> Any:
        """Return the schema with this address. jsonschema_rs calls this where other validators would fetch."""
        if address not in resolver.documents:
            missing.append(address)
            raise ValueError("nothing is ever fetched")
        return resolver.documents[address]

    try:
        validator = validator_for(resolver.root, retrieve=retrieve)
    except jsonschema_rs.ValidationError as error:
        if missing:
            raise _unresolved_error(missing[0], resolver) from None
        raise BadSchema(_reason_of(error, document), pointer=json_pointer(author_path(error.instance_path))) from None
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        if missing:
            raise _unresolved_error(missing[0], resolver) from None
        raise BadSchema(f"A “$ref” cannot be resolved: {error}") from None
    cost = compute_cost(resolver, is_registered=is_registered)
    return CompiledSchema(
        document=document,
        _validator=validator,
        _explainer=Explainer(document, references or {}),
        personal=marks_of(resolver),
        _cost=cost,
    )


def _unresolved_error(address: str, resolver: ReferenceResolver) -> UnresolvedReference:
    known = ", ".join(f"“{name}”" for name in resolver.addresses) or "none"
    name = address.removeprefix(NAMELESS)[:200]
    return UnresolvedReference(
        f"“{name}” is neither in the schema nor among its references, and nothing is ever fetched. References: {known}."
    )


def canonical_text(document: Mapping[str, Any]) -> str:
    """Return the schema as it is saved: in the author's order of keys, indented unless that makes it too long."""
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2)
    return (text if len(text) <= MAX_SCHEMA_BYTES else orjson.dumps(document)).decode()


def normal_text(document: Mapping[str, Any]) -> str:
    """Return the schema without layout and with sorted keys, which is equal for schemas with equal content."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode()


def _unknown_draft(draft: Any) -> str:
    """Return the reason why a “$schema” is refused. It is an identifier (2020-12 core, 8.1.1), so its scheme
    matters.
    """
    name = str(draft).partition("://")[2].rstrip("#")
    meant = next((known for known in DRAFTS if known.partition("://")[2] == name), None)
    if meant is not None:
        return f"“$schema” is an identifier, and the one of this draft is “{meant}”; write it so."
    return "“$schema” must be one of: " + ", ".join(DRAFTS) + "."


def _draft_hint(document: Mapping[str, Any]) -> str:
    """Return the advice for a schema that names no draft and is valid by an older one."""
    if "$schema" not in document and not jsonschema_rs.meta.is_valid({**document}):
        # Draft 7 first, because most other programs assume it for such a schema.
        for older in (DRAFTS[2], *DRAFTS[3:], DRAFTS[1]):
            if jsonschema_rs.meta.is_valid({**document, "$schema": older}):
                return (
                    " “$schema” is missing, so the schema was read as draft 2020-12. It is valid in an older draft: "
                    f'add "$schema": "{older}".'
                )
    return ""


def _unknown_type(given: Any) -> str:
    """Return the error for the value of “type”, with a suggestion."""
    unknown = next((each for each in (given if isinstance(given, list) else [given]) if each not in TYPES), None)
    if unknown is None:
        return "Not a valid JSON Schema: “type” is one type, or a list of different ones."
    word = unknown.lower() if isinstance(unknown, str) else ""
    near = _OTHER_NAMES.get(word) or next(iter(get_close_matches(word, TYPES, n=1)), "")
    return (
        f"Not a valid JSON Schema: there is no type {orjson.dumps(unknown).decode()[:100]}. There are "
        f"{', '.join(TYPES)}.{f' “{near}” may be meant.' if near else ''}"
    )


def _reason_of(error: jsonschema_rs.ValidationError, document: Mapping[str, Any]) -> str:
    if error.kind.name == "format" and error.kind.as_dict().get("format") == "regex":
        return reason_of_refusal(author_form(str(error.instance)))
    if error.kind.name == "anyOf" and list(error.instance_path)[-1:] == ["type"]:
        return _unknown_type(error.instance) + _draft_hint(document)
    message = author_form(error.message).splitlines()[0]
    return f"Not a valid JSON Schema: {message[:300]}.{_draft_hint(document)}"
