"""The explanation why an event violates its contract, found within a budget.

The validator's own list of errors grows with the product of a schema's alternatives and an event's levels: it explains
each alternative of each alternative, and most of that is discarded. Here each part of the schema is asked whether it
accepts its part of the event, which the validator answers in linear time, and only refused parts are examined further.
Among alternatives, only the one that the event evidently means is explained: the others do not accept its
discriminator.
"""

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import sha256
from itertools import islice
from typing import Any
from urllib.parse import quote

import jsonschema_rs

from synapse.schema.cost.guard import length_of, measure_event
from synapse.schema.cost.keywords import leaf_cost, pattern_steps
from synapse.schema.cost.model import CostModel
from synapse.schema.ecma_patterns import author_path
from synapse.schema.jsonschema_engine import registry_of, validator_for
from synapse.schema.references import CannotFollow, ReferenceResolver, list_of, mapping_of
from synapse.schema.violations import Violation, describe_error, json_pointer, keyword_of, name_of

MAX_STEPS = 10_000_000
"""The work that explaining one event may take, in the steps of `synapse.schema.cost`."""
_COMPILING = 100
"""The cost of compiling each part of a schema, in steps."""
_COPYING = 40
"""The cost of each value in the instance of a validator's error, which holds a copy of it."""
_KEPT_PARTS = 256
_UNKNOWN: Any = object()
_BASE = "urn:synapse:part"
_OLDER = ("http://json-schema.org/draft-04/", "http://json-schema.org/draft-06/", "http://json-schema.org/draft-07/")
_WITHOUT = {"dependentRequired": _OLDER, "dependentSchemas": _OLDER, "if": _OLDER[:2]}
"""By keyword, the drafts that do not have it."""
_DYNAMIC = ("$dynamicRef", "$recursiveRef")
_LEAVES = frozenset(
    (
        *("type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
        *("maxLength", "minLength", "pattern", "format", "maxItems", "minItems", "uniqueItems", "maxContains"),
        *("minContains", "maxProperties", "minProperties", "contentEncoding", "contentMediaType"),
    )
)
_ALONE = _LEAVES | {"required", "dependentRequired"}
_WHOLE = ("not", "contains")
_UNEVALUATED: dict[str, str] = {"unevaluatedProperties": "properties", "unevaluatedItems": "items"}

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule of the schema that an event violates.

    Attributes:
        keyword: the keyword, “” when unknown.
        path: the path into the event.
        schema_path: the path into the schema, from its root.
        evaluation_path: the validator's path through the schema, references included.
        missing: the name of the missing property, or “”.
        error: the validator's error, for its sentence.
        message: the sentence, when there is no such error.
    """

    keyword: str
    path: Path
    schema_path: Path
    evaluation_path: Path
    missing: str = ""
    error: jsonschema_rs.ValidationError | None = None
    message: str = ""

    def as_violation(self) -> Violation:
        """Return the violation in the form for callers."""
        return Violation(
            pointer=json_pointer(self.path),
            keyword=self.keyword,
            schema_pointer=json_pointer(self.schema_path),
            message=self.message if self.error is None else describe_error(self.error, self.path),
        )


def finding_of(
    error: jsonschema_rs.ValidationError, path: Path = (), schema_path: Path = (), way: Path = ()
) -> Finding:
    """Return an error that the validator reported for a part of a schema as a finding in the whole schema."""
    facts = error.kind.as_dict() if error.kind.name == "required" else {}
    return Finding(
        keyword=keyword_of(error),
        path=(*path, *error.instance_path),
        schema_path=(*schema_path, *author_path(error.schema_path)),
        evaluation_path=(*way, *author_path(error.evaluation_path)),
        missing=str(facts.get("property", "")),
        error=error,
    )


class OutOfBudget(Exception):
    """Checking or explaining takes more work than allowed: `steps`, as far as is known."""

    def __init__(self, steps: float) -> None:
        super().__init__(steps)
        self.steps = steps


class _Complete(Exception):
    """The greatest number of violations was found."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of a schema: the address of its document, and its path in it."""

    schema: Any
    address: str
    path: Path

    def under(self, schema: Any, *steps: str | int) -> "_Place":
        return _Place(schema, self.address, (*self.path, *steps))

    @property
    def reference(self) -> str:
        return f"{self.address}#{quote(json_pointer(self.path), safe='/~')}"


@dataclass(frozen=True, slots=True)
class _Value:
    """A part of an event: its path, and the validator's path through the schema to it."""

    value: Any
    path: Path
    way: Path

    def under(self, value: Any, step: str | int, *way: str | int) -> "_Value":
        return _Value(value, (*self.path, step), (*self.way, *way))

    def by(self, *way: str | int) -> "_Value":
        return _Value(self.value, self.path, (*self.way, *way))


class Explainer:
    """Explains the events that one schema refuses."""

    def __init__(self, document: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep the schema, and the schemas that its `$ref` may name. No work is done before an event is explained."""
        self._document, self.references = document, references

    @cached_property
    def parts(self) -> MutableMapping[tuple[str, Path, str], jsonschema_rs.Validator | None]:
        """The compiled parts by address, path and kind; the oldest are dropped first."""
        return _Bounded(_KEPT_PARTS)

    def explain(self, event: Any, *, limit: int, steps: int = MAX_STEPS) -> list[Finding]:
        """Return the violations of a refused event: at least one and at most `limit` findings, in at most `steps`
        steps.
        """
        return _Explanation(self, event, limit, steps).find_violations()

    def explain_within(self, steps: float, event: Any, *, limit: int) -> list[Finding]:
        """Return the result of `explain`.

        Raises:
            OutOfBudget: when that takes more than `steps`.
        """
        return _Explanation(self, event, limit, steps).findings_or_fallback()

    @cached_property
    def fingerprint(self) -> str:
        """A digest that is equal for schemas with equal content and equal references."""
        return sha256(json.dumps([self._document, self.references], default=str).encode()).hexdigest()

    @cached_property
    def _resolver(self) -> ReferenceResolver:
        return ReferenceResolver(self._document, self.references)

    @cached_property
    def length(self) -> int:
        """The number of parts of the schema and of the schemas that it refers to."""
        return length_of([dict(self._document), *self.references.values()])

    @cached_property
    def root(self) -> "_Place":
        """The whole schema."""
        return _Place(self._resolver.root, self._resolver.root_address, ())

    @cached_property
    def costs(self) -> CostModel:
        """The cost of each part of the schema."""
        return CostModel(self._resolver)

    def compile_part(self, place: "_Place", schema: Mapping[str, Any]) -> jsonschema_rs.Validator | None:
        """Return the validator of a schema by the draft of a place; None when the schema cannot be compiled by
        itself.
        """
        try:
            # The base is the registered document, not that of a schema without a name.
            return validator_for({"$schema": self.draft(place), **schema}, registry=self.registry, base_uri=_BASE)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
            return None

    @cached_property
    def registry(self) -> jsonschema_rs.Registry:
        """The schema and the schemas that it refers to."""
        return registry_of(self._documents)

    @cached_property
    def _documents(self) -> dict[str, dict[str, Any]]:
        return {self._resolver.root_address: self._resolver.root, **self._resolver.documents}

    @cached_property
    def _addresses(self) -> dict[int, str]:
        return {id(document): address for address, document in self._documents.items()}

    def draft(self, place: _Place) -> str:
        """Return the draft of the document that a place is in."""
        return str(self._documents[place.address]["$schema"])

    def target(self, node: Mapping[str, Any]) -> _Place | None:
        """Return the single place to which the reference of a schema leads; None when that is uncertain."""
        if any(word in node for word in _DYNAMIC):
            return None
        try:
            found = self._resolver.targets(node)
        except CannotFollow:
            return None
        if len(found) != 1 or found[0].document is None:
            return None
        steps = (part.replace("~1", "/").replace("~0", "~") for part in found[0].pointer.split("/")[1:])
        return _Place(found[0].schema, self._addresses[id(found[0].document)], tuple(steps))


class _Explanation:
    """The explanation of one event in progress."""

    def __init__(self, explainer: Explainer, event: Any, limit: int, steps: float) -> None:
        self._explainer, self._event, self._limit, self._left = explainer, event, limit, steps
        self._found: list[Finding] = []
        # The number of findings, to see whether a part of the schema has reported anything.
        self._reasons = 0
        # Several paths may lead to one part of the schema for one part of the event: it is explained once.
        self._seen: set[tuple[str, Path, Path]] = set()
        self._measured: dict[int, tuple[int, int]] = {}
        # The current position, for the sentence when the explanation has to end.
        self._deepest: tuple[_Place, _Value] | None = None

    def find_violations(self) -> list[Finding]:
        try:
            return self.findings_or_fallback()
        except OutOfBudget:
            return self._found or [self._budget_finding()]

    def findings_or_fallback(self) -> list[Finding]:
        with suppress(_Complete, RecursionError):
            self._explain_value(self._explainer.root, _Value(self._event, (), ()))
        return self._found[: self._limit] or [self._budget_finding()]

    def _explain_value(self, place: _Place, at: _Value) -> None:
        """Find the violations in a value that a schema refuses."""
        key = place.address, place.path, at.path
        self._reasons += 1
        if key in self._seen:
            return
        self._seen.add(key)
        before = self._reasons
        self._deepest = place, at
        node = place.schema
        if isinstance(node, Mapping) and not (is_reference := self._is_reference_alone(place)):
            self._check_leaves(place, at)
            if isinstance(at.value, dict):
                self._check_required(place, at, at.value)
                self._check_names(place, at, at.value)
            self._follow_conditions(place, at)
            self._follow_parts(place, at)
        if isinstance(node, Mapping) and any(word in node for word in ("$ref", *_DYNAMIC)):
            target = self._explainer.target(node)
            if target is not None and not self._accepts(target, at.value):
                self._explain_value(target, at.by("$ref"))
        if isinstance(node, Mapping) and not is_reference:
            self._follow_alternatives(place, at)
        if self._reasons == before:
            self._add(self._fallback_finding(place, at))

    def _is_known(self, place: _Place, word: str) -> bool:
        """Say whether the draft of a place defines a keyword that was introduced later."""
        return not self._explainer.draft(place).startswith(_WITHOUT.get(word, ()))

    def _is_reference_alone(self, place: _Place) -> bool:
        return "$ref" in place.schema and self._explainer.draft(place).startswith(_OLDER)

    def _check_leaves(self, place: _Place, at: _Value) -> None:
        leaves = _own_keywords(place)
        if not leaves:
            return
        validator = self._part(place, leaves, "leaves")
        if validator is None or validator.is_valid(at.value):
            return
        # Each of these keywords has one error.
        for error in validator.iter_errors(at.value):
            self._spend(_COPYING * self._measure(at.value)[0])
            self._add(finding_of(error, at.path, place.path, at.way))

    def _check_required(self, place: _Place, at: _Value, value: Mapping[str, Any]) -> None:
        """Find the missing properties. The validator would copy the object for each of them."""
        node = place.schema
        wanted = [("required", name) for name in list_of(node.get("required"))]
        for word in ("dependentRequired", "dependencies"):
            if not self._is_known(place, word):
                continue
            dependent = (each for name, each in mapping_of(node.get(word)).items() if name in value)
            wanted += [(word, name) for names in dependent for name in list_of(names)]
        for word, name in wanted:
            if name not in value:
                message = f"{name_of(at.path)} must have the property “{name}”."
                self._add(self._finding_with_message(place, at, word, message, missing=name))

    def _check_names(self, place: _Place, at: _Value, value: Mapping[str, Any]) -> None:
        """Find the names that are not allowed. The validator gets one name at a time, because it would copy the object
        for each.
        """
        if "propertyNames" not in place.schema:
            return
        names = place.under(place.schema["propertyNames"], "propertyNames")
        for name in value:
            if self._accepts(names, name):
                continue
            validator = self._part(place, {"propertyNames": {"$ref": names.reference}}, "names")
            if validator is None:
                return
            for error in islice(validator.iter_errors({name: None}), self._limit):
                self._add(finding_of(error, at.path, way=at.way))

    def _follow_conditions(self, place: _Place, at: _Value) -> None:
        """Examine the schemas for the same value that all have to accept it."""
        node = place.schema
        for number, each in enumerate(list_of(node.get("allOf"))):
            self._follow(place.under(each, "allOf", number), at.by("allOf", number))
        if "if" in node and self._is_known(place, "if"):
            word = "then" if self._accepts(place.under(node["if"], "if"), at.value) else "else"
            if word in node:
                self._follow(place.under(node[word], word), at.by(word))
        if isinstance(at.value, dict):
            for word in filter(partial(self._is_known, place), ("dependentSchemas", "dependencies")):
                for name, each in mapping_of(node.get(word)).items():
                    if name in at.value and isinstance(each, (Mapping, bool)):
                        self._follow(place.under(each, word, name), at.by(word, name))

    def _follow_parts(self, place: _Place, at: _Value) -> None:
        if isinstance(at.value, dict):
            for name, value in at.value.items():
                for part, way in self._schemas_of_property(place, name):
                    self._follow(part, at.under(value, name, *way))
        elif isinstance(at.value, list):
            for number, value in enumerate(at.value):
                for part, way in _schemas_of_item(place, number):
                    self._follow(part, at.under(value, number, *way))

    def _follow_alternatives(self, place: _Place, at: _Value) -> None:
        for word in ("anyOf", "oneOf"):
            places = [place.under(each, word, n) for n, each in enumerate(list_of(place.schema.get(word)))]
            if not places:
                continue
            fitting = [each for each in places if self._is_of_kind(each, at.value)]
            accepting = sum(self._accepts(each, at.value) for each in fitting)
            if accepting == 1 or (accepting and word == "anyOf"):
                continue
            if len(fitting) == 1:
                self._explain_value(fitting[0], at.by(word, fitting[0].path[-1]))
                continue
            wanted = "must fit exactly one" if word == "oneOf" else "fits none"
            self._add(
                self._finding_with_message(
                    place, at, word, f"{name_of(at.path)} {wanted} of the forms that its contract allows."
                )
            )

    def _is_of_kind(self, place: _Place, value: Any) -> bool:
        """Say whether a value may be meant for an alternative: its type and the constants that distinguish alternatives
        fit.

        This holds for every alternative that accepts the value.
        """
        for _ in range(8):
            target = None if not isinstance(place.schema, Mapping) else self._explainer.target(place.schema)
            if target is None or len(place.schema) > 1:
                break
            place = target
        if not isinstance(place.schema, Mapping):
            return bool(place.schema)
        marks = {word: place.schema[word] for word in ("type", "const", "enum") if word in place.schema}
        if marks and not self._accepts_marks(place, marks, value):
            return False
        if not isinstance(value, dict):
            return True
        properties = mapping_of(place.schema.get("properties"))
        for name, each in properties.items():
            marks = (
                {word: each[word] for word in ("const", "enum") if word in each} if isinstance(each, Mapping) else {}
            )
            if marks and name in value:
                if not self._accepts_marks(place.under(each, "properties", name), marks, value[name]):
                    return False
            elif marks and name in list_of(place.schema.get("required")):
                return False
        return True

    def _accepts_marks(self, place: _Place, marks: Mapping[str, Any], value: Any) -> bool:
        validator = self._part(place, marks, "marks")
        cost, (_, characters) = leaf_cost(marks), self._measure(value)
        self._spend(cost.here + cost.here_text * characters)
        return validator is None or validator.is_valid(value)

    def _schemas_of_property(self, place: _Place, name: str) -> Iterator[tuple[_Place, Path]]:
        node = place.schema
        is_known = False
        properties = mapping_of(node.get("properties"))
        if name in properties:
            is_known = True
            yield place.under(properties[name], "properties", name), ("properties", name)
        for pattern, each in mapping_of(node.get("patternProperties")).items():
            validator = self._part(place.under(each, "patternProperties", pattern), {"pattern": pattern}, "name")
            self._spend(pattern_steps(pattern, len(name)))
            if validator is not None and validator.is_valid(name):
                is_known = True
                yield place.under(each, "patternProperties", pattern), ("patternProperties", pattern)
        word = "additionalProperties"
        # `false` has no parts: its error lists the names.
        if not is_known and isinstance(node.get(word), Mapping):
            yield place.under(node[word], word), (word,)

    def _follow(self, place: _Place, at: _Value) -> None:
        if not self._accepts(place, at.value):
            self._explain_value(place, at)

    def _accepts(self, place: _Place, value: Any) -> bool:
        schema = place.schema
        if isinstance(schema, bool) or not schema:
            return schema is not False
        self._spend(self._explainer.costs.steps(schema, *self._measure(value)))
        validator = self._part(place, _without_references(schema) or {"$ref": place.reference})
        # A part that cannot be checked by itself is not blamed; its parent is, when nothing else is found.
        return validator is None or validator.is_valid(value)

    def _part(self, place: _Place, schema: Mapping[str, Any], kind: str = "") -> jsonschema_rs.Validator | None:
        """Return the compiled validator of a schema that was derived from a place. `kind` distinguishes schemas derived
        from one place.
        """
        key = place.address, place.path, kind
        validator: jsonschema_rs.Validator | None = self._explainer.parts.get(key, _UNKNOWN)
        if validator is _UNKNOWN:
            leads_on = "$ref" in schema or not schema.keys().isdisjoint(_WHOLE)
            self._spend(_COMPILING * (self._explainer.length if leads_on else length_of(schema)))
            validator = self._explainer.compile_part(place, schema)
            self._explainer.parts[key] = validator
        return validator

    def _measure(self, value: Any) -> tuple[int, int]:
        """Return the numbers of values and characters in a value."""
        if not isinstance(value, (dict, list)):
            return 1, len(value) if isinstance(value, str) else 0
        if id(value) not in self._measured:
            self._measured[id(value)] = measure_event(value)[:2]
        return self._measured[id(value)]

    def _spend(self, steps: float) -> None:
        self._left -= steps
        if self._left < 0:
            # The number of further steps is unknown.
            raise OutOfBudget(MAX_STEPS)

    def _add(self, finding: Finding) -> None:
        self._reasons += 1
        self._found.append(finding)
        if len(self._found) >= self._limit:
            raise _Complete

    def _fallback_finding(self, place: _Place, at: _Value) -> Finding:
        """Return the finding for a value whose violation no part of the schema explains."""
        if isinstance(place.schema, Mapping):
            for word, things in _UNEVALUATED.items():
                if word in place.schema:
                    return self._finding_with_message(
                        place, at, word, f"{name_of(at.path)} has {things} that its contract does not allow."
                    )
        if place.schema is False:
            return self._finding_with_message(place, at, "false", f"{name_of(at.path)} must not be there.")
        return self._finding_with_message(place, at, "", f"{name_of(at.path)} does not fit its contract.")

    def _budget_finding(self) -> Finding:
        place, at = self._deepest or (self._explainer.root, _Value(self._event, (), ()))
        return self._finding_with_message(
            place, at, "", f"{name_of(at.path)} does not fit its contract; to say why would take too much work."
        )

    def _finding_with_message(
        self, place: _Place, at: _Value, word: str, message: str, *, missing: str = ""
    ) -> Finding:
        return Finding(
            keyword=word,
            path=at.path,
            schema_path=(*place.path, word) if word in mapping_of(place.schema) else place.path,
            evaluation_path=(*at.way, word),
            missing=missing,
            message=message,
        )


def _own_keywords(place: _Place) -> dict[str, Any]:
    """Return the keywords of a schema that concern the value itself rather than parts of the schema: their errors are
    about this place.

    Schemas inside are left out, or replaced by references when the keyword concerns the value as a whole.
    """
    node = place.schema
    found = {word: value for word, value in node.items() if word in _LEAVES}
    for word in _WHOLE:
        if word in node:
            found[word] = {"$ref": place.under(node[word], word).reference}
    if node.get("additionalProperties") is False:
        found["additionalProperties"] = False
        for word in ("properties", "patternProperties"):
            found[word] = {name: {} for name in mapping_of(node.get(word))}
    for word, first in (("items", "prefixItems"), ("additionalItems", "items")):
        if node.get(word) is False:
            found[word] = False
            if isinstance(node.get(first), list):
                found[first] = [{}] * len(node[first])
    return found


def _schemas_of_item(place: _Place, number: int) -> Iterator[tuple[_Place, Path]]:
    node = place.schema
    items = node.get("items")
    word, rest = ("items", "additionalItems") if isinstance(items, list) else ("prefixItems", "items")
    first = list_of(node.get(word))
    if number < len(first):
        yield place.under(first[number], word, number), (word, number)
    elif isinstance(node.get(rest), Mapping):
        yield place.under(node[rest], rest), (rest,)


def _without_references(schema: Any) -> Mapping[str, Any] | None:
    """Return a schema without references, which can be checked without its document; None when it has references."""
    return schema if _ALONE.issuperset(schema) else None


class _Bounded(OrderedDict[Any, Any]):
    """A dictionary with a limited number of entries, which drops the oldest."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        while len(self) > self._most:
            self.popitem(last=False)
