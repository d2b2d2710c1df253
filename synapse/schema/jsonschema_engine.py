"""Make validators of jsonschema_rs: formats are checked, and patterns are those of ECMA 262, matched in linear time.

The engine reads parts of patterns otherwise than ECMA 262 (`synapse.schema.ecma_patterns`), so it is given schemas with
their patterns in its form. Its errors show patterns in that form until `author_form` undoes it.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import jsonschema_rs
import orjson

from synapse.schema.ecma_patterns import engine_form
from synapse.schema.references import LINKED, Document, mapping_of, rewrite

PATTERN_MEMORY = 14 * 2**20
"""Bytes for one pattern made ready: enough for `.{1,10000}` in the engine's form."""
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=PATTERN_MEMORY)
"""Linear time."""
_OLDER_DRAFTS = "http://json-schema.org/draft-0"


def validator_for(
    schema: Any,
    *,
    registry: jsonschema_rs.Registry | None = None,
    base_uri: str | None = None,
    retrieve: Callable[[str], Any] | None = None,
) -> jsonschema_rs.Validator:
    """Return the validator of a schema; its references lead into `registry`, or to what `retrieve` returns.

    Raises:
        jsonschema_rs.ValidationError: when it is no valid schema of its draft.
        jsonschema_rs.ReferencingError, ValueError: when a reference leads nowhere.
    """
    return jsonschema_rs.validator_for(
        for_engine(schema),
        registry=registry,
        base_uri=base_uri,
        retriever=None if registry is not None else _retriever(retrieve),
        validate_formats=True,
        pattern_options=_PATTERNS,
    )


def takes_pattern(pattern: str) -> bool:
    """Say whether the engine takes a pattern."""
    try:
        validator_for({"pattern": pattern})
    except jsonschema_rs.ValidationError:
        return False
    return True


def registry_of(documents: Mapping[str, Any], retrieve: Callable[[str], Any] | None = None) -> jsonschema_rs.Registry:
    """Return the schemas with these addresses, and those that `retrieve` returns, for validators of their parts."""
    resources = [(address, for_engine(document)) for address, document in documents.items()]
    return jsonschema_rs.Registry(resources, retriever=_retriever(retrieve))


def for_engine(schema: Any) -> Any:
    """Return a schema with its patterns in the engine's form: the same object where none of them differs."""
    with suppress(TypeError):  # an integer beyond 64 bits
        # Most schemas are told here, some fifty times as fast.
        if b"pattern" not in orjson.dumps(schema):
            return schema
    with suppress(RecursionError):  # deeper than the engine takes
        has_older_draft = str(mapping_of(schema).get("$schema", "")).startswith(_OLDER_DRAFTS)
        form = partial(engine_form, with_flags=not has_older_draft)
        return rewrite(schema, partial(_with_engine_forms, form=form))
    return schema


def _with_engine_forms(part: Document, form: Callable[[str], str]) -> Document:
    changed: dict[str, Any] = {}
    for word in ("pattern", *LINKED):
        if isinstance(value := part.get(word), str):
            new = form(value) if word == "pattern" else _reference(value, form)
            if new is not value:
                changed[word] = new
    if named := mapping_of(part.get("patternProperties")):
        forms = {form(name): each for name, each in named.items()}
        if forms.keys() != named.keys():
            changed["patternProperties"] = forms
    return {**part, **changed} if changed else part


def _reference(reference: str, form: Callable[[str], str]) -> str:
    """Return a reference with the names of `patternProperties` on its way in the engine's form."""
    address, _, fragment = reference.partition("#")
    steps = fragment.split("/")
    for number, word in enumerate(steps[:-1], start=1):
        if word == "patternProperties":
            name = unquote(steps[number]).replace("~1", "/").replace("~0", "~")
            if (new := form(name)) is not name:
                steps[number] = quote(new.replace("~", "~0").replace("/", "~1"))
    joined = "/".join(steps)
    return reference if joined == fragment else f"{address}#{joined}"


def _retriever(retrieve: Callable[[str], Any] | None) -> Callable[[str], Any]:
    def retrieve_for_engine(address: str) -> Any:
        if retrieve is None:
            raise ValueError("nothing is ever fetched")
        return for_engine(retrieve(address))

    return retrieve_for_engine
