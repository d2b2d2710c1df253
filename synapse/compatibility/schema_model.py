"""A place in a schema."""

import json
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson

from synapse.compatibility import validators
from synapse.compatibility.facets import Facets
from synapse.compatibility.keywords import DRAFT_2020, SCHEMA_URIS
from synapse.compatibility.schema_parser import read

if TYPE_CHECKING:
    from synapse.compatibility.documents import Document


class Node:
    """A schema at its place in a document. Compared by identity: a place has one node.

    A node without a document is one that the comparison made up ("an object that has `a`").
    """

    def __init__(self, schema: Any, pointer: str, draft: int, document: "Document | None" = None) -> None:
        self.schema = schema
        self.pointer = pointer
        self.draft = draft
        self.document = document

    @cached_property
    def facets(self) -> Facets:
        """What the schema says, in the one form of all drafts."""
        return read(self)

    @cached_property
    def text(self) -> bytes | None:
        """The schema as bytes that are equal only for equal schemas; `None` where a reference leads out of it."""
        if self.document is not None and self.document.has_references and b'"$' in self._bytes:
            return None if any(word in self._bytes for word in _LEADING_OUT) else self._bytes
        return self._bytes

    @cached_property
    def _bytes(self) -> bytes:
        try:
            return orjson.dumps(self.schema, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # An integer beyond 64 bits; `repr` tells 1 from 1.0 and from true as well.
            return repr(self.schema).encode()

    @cached_property
    def validator(self) -> jsonschema_rs.Validator | None:
        """The real validator of this place; `None` where it cannot stand alone."""
        if self.document is None:
            return validators.alone(self.schema, self.draft)
        return self.document.validator_of(self)

    @cached_property
    def cost_of_compiling(self) -> int:
        """How many steps of a budget it takes to compile the schema."""
        size = len(self._bytes)
        if self.document is not None and self.document.has_references:
            # With all that it may refer to.
            size += self.document.library.size
        return 2 + size // 200

    @cached_property
    def cost_of_asking(self) -> int:
        """How many steps of a budget it takes to ask the validator about a value."""
        size = len(self._bytes)
        options = self.schema.get("enum") if isinstance(self.schema, dict) else None
        if isinstance(options, list) and all(isinstance(option, str) for option in options):
            # The validator looks texts up in a table.
            size -= sum(len(option) + len('"",') for option in options)
        return 1 + max(0, size) // 5000

    @property
    def at(self) -> str:
        """Where this is, for people: a JSON Pointer, after the name of the reference if it is in one."""
        name = self.document.name if self.document else ""
        return f"{name}#{self.pointer}" if name else self.pointer

    def below(self, pointer: str, schema: Any) -> "Node":
        """Return the node of a schema that this one holds."""
        if self.document is None:
            return Node(schema, self.pointer + pointer, self.draft)
        return self.document.node(self.pointer + pointer, schema)

    def resolve(self, keyword: str) -> "Node | None":
        """Return the node that a reference leads to, or `None` where that cannot be followed with certainty."""
        return None if self.document is None else self.document.library.resolve(self, keyword)

    @property
    def leads_to_metaschema(self) -> bool:
        """Whether the `$ref` leads to the schema of a draft, which the validator has built in."""
        if self.document is None or self.document.library.has_dynamic_anchors:
            return False
        return str(self.schema.get("$ref")).rstrip("#") in SCHEMA_URIS.values()

    @staticmethod
    def made(schema: Any) -> "Node":
        """Return a node that is in no document; equal schemas give the same one."""
        return _made(json.dumps(schema, sort_keys=True))

    def accepts(self, value: Any) -> bool | None:
        """Ask the real validator; `None` when it cannot say."""
        return None if self.validator is None else validators.accepts(self.validator, value)

    def __repr__(self) -> str:
        return f"<{self.at or 'root'} {self._bytes.decode()[:60]}>"


_LEADING_OUT = (b'"$ref"', b'"$dynamicRef"', b'"$recursiveRef"')


@lru_cache(maxsize=2048)
def _made(text: str) -> Node:
    return Node(json.loads(text), "", DRAFT_2020)
