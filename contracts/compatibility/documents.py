"""A schema document with those that it refers to: where a `$ref` leads, and which draft each place is read by.

What cannot be followed with certainty is not followed: `resolve` answers `None`, and the comparison is undecided there.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import jsonschema_rs
import orjson

from contracts.compatibility import keywords, validators
from contracts.compatibility.keywords import DRAFT_7
from contracts.compatibility.nodes import Node

_ROOT = "http://schema.invalid/"
"""The base of schemas without `$id`, and so of the names of references; any base that nobody else uses will do."""


class Unusable(Exception):
    """The document is not one that can be compared; the text says why."""


class Document:
    """One schema document: its nodes by JSON Pointer, and the names of its places."""

    def __init__(self, library: "Library", name: str, schema: dict[str, Any], uri: str) -> None:
        draft = keywords.draft_of(schema)
        if draft is None:
            raise Unusable("“$schema” names no published draft")
        self.library = library
        self.name = name
        self.schema = schema
        self.draft = draft
        self.base = uri
        self.has_references = False
        self.has_dynamic_references = False
        self.is_one_resource = True
        self._nodes: dict[str, Node] = {}
        self._bases: dict[str, str] = {}
        self._index(schema, uri)

    @property
    def root(self) -> Node:
        """The node of the whole document."""
        return self.node("", self.schema)

    def node(self, pointer: str, schema: Any) -> Node:
        """Return the node at a place: one object for each place, so that nodes can be compared by identity."""
        node = self._nodes.get(pointer)
        if node is None:
            node = self._nodes[pointer] = Node(schema, pointer, self.draft, self)
        return node

    def resolve(self, node: Node, reference: str) -> Node | None:
        """Return the node that a reference in `node` leads to, or `None`."""
        base = self._base_at(node.pointer)
        # `urljoin` does not know every scheme that an `$id` may have; a fragment alone needs no joining.
        uri, anchor = urldefrag(base + reference if reference.startswith("#") else urljoin(base, reference))
        return self.library.find(uri, unquote(anchor))

    def validator_of(self, node: Node) -> jsonschema_rs.Validator | None:
        """Return the real validator of a node of this document."""
        if not self.has_references:
            return validators.alone(node.schema, self.draft)
        # A dynamic reference means something else when it is not entered from the root.
        if self.has_dynamic_references and not self.library.is_one_resource:
            return None
        return validators.part(self.schema, self.library.references, node.pointer)

    def at(self, start: str, anchor: str) -> Node | None:
        """Return the node at a JSON Pointer below `start`, or `None` when there is no schema."""
        here: Any = self.schema
        pointer = ""
        for token in (start + anchor).split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(here, dict) and key in here:
                here = here[key]
            elif isinstance(here, list) and key.isdecimal() and int(key) < len(here):
                here = here[int(key)]
            else:
                return None
            pointer += "/" + token
            if pointer in self._bases and len(pointer) > len(start):
                return None
        return self.node(pointer, here) if isinstance(here, (dict, bool)) else None

    def _base_at(self, pointer: str) -> str:
        if self.is_one_resource:
            return self.base
        while pointer not in self._bases and pointer:
            pointer = pointer.rpartition("/")[0]
        return self._bases.get(pointer, self.base)

    def _index(self, schema: dict[str, Any], uri: str) -> None:
        waiting: list[tuple[str, Any, str]] = [("", schema, uri)]
        while waiting:
            pointer, here, base = waiting.pop()
            if not isinstance(here, dict):
                continue
            base = self._note(pointer, here, base)
            waiting += [(pointer + below, item, base) for _, below, item in keywords.subschemas(here)]

    def _note(self, pointer: str, here: dict[str, Any], base: str) -> str:
        """Note the names of one schema, and return the base of those below it."""
        if "$ref" in here:
            self.has_references = True
        if "$dynamicRef" in here or "$recursiveRef" in here:
            self.has_references = self.has_dynamic_references = True
        own = here.get("id" if self.draft < keywords.DRAFT_6 else "$id")
        if isinstance(own, str) and not (self.draft <= DRAFT_7 and "$ref" in here):
            where, anchor = urldefrag(urljoin(base, own))
            if anchor:
                self.library.anchors[(base, anchor)] = self, pointer
            if not own.startswith("#"):
                base = where
                self._bases[pointer] = base
                self.is_one_resource = self.is_one_resource and not pointer
                self.library.resources[base] = self, pointer
        if not pointer:
            self.base = base
            self._bases[""] = base
        elif "$schema" in here and keywords.draft_of(here) != self.draft:
            raise Unusable(f"the part at “{pointer}” is of another draft than the whole")
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(name := here.get(keyword), str) and self.draft > DRAFT_7:
                self.library.anchors[(base, name)] = self, pointer
        return base


class Library:
    """A schema and its references, by name. `is_new`: nobody has compiled it yet."""

    def __init__(
        self, schema: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]], *, is_new: bool = False
    ) -> None:
        self.is_new = is_new
        self.resources: dict[str, tuple[Document, str]] = {}
        self.anchors: dict[tuple[str, str], tuple[Document, str]] = {}
        self.references = {name: dict(document) for name, document in references.items()}
        self._by_name: dict[str, Document] = {}
        for name, document in self.references.items():
            uri = urljoin(_ROOT, name)
            self._by_name[name] = self._add(name, document, uri)
        self.main = self._add("", dict(schema), _ROOT)

    @property
    def documents(self) -> list[Document]:
        """The schema itself and its references."""
        return [self.main, *self._by_name.values()]

    @property
    def is_one_resource(self) -> bool:
        """Whether no part has a name of its own, so that a dynamic reference can lead to one place only."""
        return not self.references and self.main.is_one_resource

    @cached_property
    def validator(self) -> jsonschema_rs.Validator | None:
        """The real validator of the schema; `None` when it cannot be compiled."""
        return validators.whole(self.main.schema, self.references)

    def says_the_same_as(self, other: "Library") -> bool:
        """Say whether the schemas, with those that they refer to, are equal to the letter."""
        return self._text == other._text

    @cached_property
    def _text(self) -> bytes:
        everything = {"schema": self.main.schema, "references": self.references}
        try:
            return orjson.dumps(everything, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # An integer beyond 64 bits, or nesting beyond what is written.
            return repr(everything).encode()

    def _add(self, name: str, schema: dict[str, Any], uri: str) -> Document:
        document = Document(self, name, schema, uri)
        self.resources[uri] = document, ""
        self.resources[document.base] = document, ""
        return document

    def find(self, uri: str, anchor: str) -> Node | None:
        """Return the node of a resource and a fragment (a JSON Pointer, or a name), or `None`."""
        if anchor and not anchor.startswith("/"):
            document, pointer = self.anchors.get((uri, anchor), (None, ""))
            return document.at(pointer, "") if document else None
        document, pointer = self.resources.get(uri, (None, ""))
        return document.at(pointer, anchor) if document else None
