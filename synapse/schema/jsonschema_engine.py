"""Validators of jsonschema_rs that check formats, and match the patterns of ECMA 262 in linear time.

The engine reads parts of patterns differently from ECMA 262 (`synapse.schema.ecma_patterns`), so it gets schemas with
patterns in its own form. Its errors have patterns in that form until `author_form` restores them.
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
        jsonschema_rs.ValidationError: when the schema is not valid by its draft.
        jsonschema_rs.ReferencingError, ValueError: when a reference leads nowhere.
    """
    return jsonschema_rs.validator_for(
        for_engine(schema),
        registry=registry,
        base_uri=base_uri,
        retriever=None if registry is not None else _retrieve_for_engine(retrieve),
        validate_formats=True,
        pattern_options=_PATTERNS,
    )


def takes_pattern(pattern: str) -> bool:
    """Say whether the engine accepts a pattern."""
    try:
        validator_for({"pattern": pattern})
    except jsonschema_rs.ValidationError:
        return False
    return True


def registry_of(documents: Mapping[str, Any], retrieve: Callable[[str], Any] | None = None) -> jsonschema_rs.Registry:
    """Return a registry of the schemas with these addresses, and of those that `retrieve` returns, for validators of
    their parts.
    """
    resources = [(address, for_engine(document)) for address, document in documents.items()]
    return jsonschema_rs.Registry(resources, retriever=_retrieve_for_engine(retrieve))


def for_engine(schema: Any) -> Any:
    """Return a schema with its patterns in the engine's form: the same object when none of them differs."""
    with suppress(TypeError):  # an integer beyond 64 bits
        # This recognizes most schemas without such patterns, some fifty times as fast.
        if b"pattern" not in orjson.dumps(schema):
            return schema
    with suppress(RecursionError):  # nested deeper than the engine accepts
        has_older_draft = str(mapping_of(schema).get("$schema", "")).startswith(_OLDER_DRAFTS)
        form = partial(engine_form, with_flags=not has_older_draft)
        return rewrite(schema, partial(_with_engine_forms, form=form))
    return schema


def _with_engine_forms(part: Document, form: Callable[[str], str]) -> Document:
    changed: dict[str, Any] = {}
    for word in ("pattern", *LINKED):
        if isinstance(value := part.get(word), str):
            new = form(value) if word == "pattern" else _reference_for_engine(value, form)
            if new is not value:
                changed[word] = new
    if named := mapping_of(part.get("patternProperties")):
        forms = {form(name): each for name, each in named.items()}
        if forms.keys() != named.keys():
            changed["patternProperties"] = forms
    return {**part, **changed} if changed else part


def _reference_for_engine(reference: str, form: Callable[[str], str]) -> str:
    """Return a reference with the names of `patternProperties` in its path in the engine's form."""
    address, _, fragment = reference.partition("#")
    steps = fragment.split("/")
    for number, word in enumerate(steps[:-1], start=1):
        if word == "patternProperties":
            name = unquote(steps[number]).replace("~1", "/").replace("~0", "~")
            if (new := form(name)) is not name:
                steps[number] = quote(new.replace("~", "~0").replace("/", "~1"))
    joined = "/".join(steps)
    return reference if joined == fragment else f"{address}#{joined}"


def _retrieve_for_engine(retrieve: Callable[[str], Any] | None) -> Callable[[str], Any]:
    def retrieve_for_engine(address: str) -> Any:
        if retrieve is None:
            raise ValueError("nothing is ever fetched")
        return for_engine(retrieve(address))

    return retrieve_for_engine
