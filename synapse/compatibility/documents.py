"""Resolves references between schema documents, and finds references that cannot be compared.

`resolve` returns `None` for a `$ref` that cannot be followed with certainty; the comparison is undecided there. Schemas
are not compared at all if a reference leads back to itself at the same value, or if references to references apply too
many schemas to one value. Recursion into parts of the value, as in a tree, is fine.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import jsonschema_rs
import orjson

from synapse.compatibility import keywords, validators
from synapse.compatibility.budget import Budget
from synapse.compatibility.keywords import DRAFT_7
from synapse.compatibility.schema_model import Node
from synapse.errors.contracts import BadSchema
from synapse.schema.references import CannotFollow, ReferenceResolver


class Unusable(Exception):
    """The document cannot be compared; the message is the reason."""


class Document:
    """One schema document: its nodes by JSON Pointer, and the names of its places."""

    def __init__(self, library: "Library", name: str, schema: dict[str, Any], address: str) -> None:
        draft = keywords.draft_of(schema)
        if draft is None:
            raise Unusable("“$schema” names no published draft")
        self.library = library
        self.name = name
        self.schema = schema
        self.draft = draft
        self.address = address
        self.has_references = False
        self.has_dynamic_references = False
        self.is_one_resource = True
        self._nodes: dict[str, Node] = {}
        self._scan(schema)

    @property
    def root(self) -> Node:
        """The node of the whole document."""
        return self.node("", self.schema)

    def node(self, pointer: str, schema: Any) -> Node:
        """Return the node at a pointer: always the same object, so that nodes can be compared by identity."""
        node = self._nodes.get(pointer)
        if node is None:
            node = self._nodes[pointer] = Node(schema, pointer, self.draft, self)
        return node

    def validator_of(self, node: Node) -> jsonschema_rs.Validator | None:
        """Return the real validator of a node of this document."""
        if not self.has_references:
            return validators.compile_alone(node.schema, self.draft)
        # Dynamic references resolve differently when the validation does not begin at the root.
        if self.has_dynamic_references and not self.library.is_one_resource:
            return None
        return validators.compile_part(self.address, node.pointer, self.draft, self.library.registry)

    def _scan(self, schema: dict[str, Any]) -> None:
        waiting: list[tuple[str, Any]] = [("", schema)]
        while waiting:
            pointer, here = waiting.pop()
            if not isinstance(here, dict):
                continue
            if "$dynamicRef" in here or "$recursiveRef" in here:
                self.has_dynamic_references = True
            self.has_references = self.has_references or self.has_dynamic_references or "$ref" in here
            if pointer:
                own = here.get("id" if self.draft < keywords.DRAFT_6 else "$id")
                is_anchor = self.draft <= DRAFT_7 and isinstance(own, str) and own.startswith("#")
                self.is_one_resource = self.is_one_resource and (not isinstance(own, str) or is_anchor)
                if "$schema" in here and keywords.draft_of(here) != self.draft:
                    raise Unusable(f"the part at “{pointer}” is of another draft than the whole")
            waiting += [(pointer + below, item) for _, below, item in keywords.subschemas(here)]


class Library:
    """A schema and the schemas that it refers to, by name. `is_new`: it was never compiled before."""

    def __init__(
        self, schema: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]], *, is_new: bool = False
    ) -> None:
        self.is_new = is_new
        try:
            self._resolver = ReferenceResolver(schema, references)
        except BadSchema as error:
            raise Unusable(error.detail) from None
        self.main = Document(self, "", self._resolver.root, self._resolver.root_address)
        self._documents = {id(self.main.schema): self.main}
        for name, address in self._resolver.addresses.items():
            document = self._resolver.documents.get(address)
            if document is not None and id(document) not in self._documents:
                self._documents[id(document)] = Document(self, name, document, address)

    @property
    def documents(self) -> list[Document]:
        """The schema itself and its references."""
        return [*self._documents.values()]

    @cached_property
    def size(self) -> int:
        """Return the size in bytes of the schema with the schemas that it refers to."""
        return len(self._text)

    @cached_property
    def has_dynamic_anchors(self) -> bool:
        """Whether some part may have a dynamic anchor."""
        return b'"$dynamicAnchor"' in self._text or b'"$recursiveAnchor"' in self._text

    @property
    def is_one_resource(self) -> bool:
        """Whether no part has its own id, so that each dynamic reference has one possible target."""
        return len(self._documents) == 1 and self.main.is_one_resource

    @cached_property
    def validator(self) -> jsonschema_rs.Validator | None:
        """The real validator of the schema; `None` when it cannot be compiled."""
        return validators.compile_schema(self.main.schema, self._others)

    @cached_property
    def registry(self) -> jsonschema_rs.Registry | None:
        """All schemas, for the validators of their parts; `None` when one cannot be read."""
        return validators.make_registry(self.main.address, self.main.schema, self._others)

    @property
    def _others(self) -> Mapping[str, dict[str, Any]]:
        return self._resolver.documents

    def resolve(self, node: Node, keyword: str) -> Node | None:
        """Return the node that a reference in `node` leads to, or `None`.

        In a single resource, a dynamic reference leads to the same node as a plain one.
        """
        try:
            targets = self._resolver.resolve(node.schema, keyword)
            is_dynamic = bool(self._resolver.dynamic_targets(node.schema, keyword))
        except CannotFollow:
            return None
        document = self._documents.get(id(targets[0].document))
        if len(targets) > 1 or document is None or (not self.is_one_resource and (is_dynamic or keyword != "$ref")):
            return None
        return document.node(targets[0].pointer, targets[0].schema)

    def equals_literally(self, other: "Library") -> bool:
        """Say whether both schemas, and the schemas they refer to, have equal texts."""
        return self._text == other._text

    @cached_property
    def _text(self) -> bytes:
        everything = {"schema": self.main.schema, "references": self._others}
        try:
            return orjson.dumps(everything, option=orjson.OPT_SORT_KEYS)
        except TypeError:
            # An integer beyond 64 bits, or nesting that orjson does not serialize.
            return repr(everything).encode()


_MOST_LOOKS = 20_000
"""The limit on the schemas that are applied to one value."""


def find_reference_obstacle(library: Library, budget: Budget) -> str | None:
    """Return the reason that a schema's references, or those of its references, cannot be compared; `None` if they can.

    Raises:
        OutOfBudget: when the search takes too long.
    """
    if not any(document.has_references for document in library.documents):
        return None
    looks: dict[Node, int] = {}
    seen = dict.fromkeys(document.root for document in library.documents)
    waiting = list(seen)
    while waiting:
        node = waiting.pop()
        if node not in looks and not _count_applied(node, looks, budget):
            return f"a “$ref” leads back to itself at “{node.at}”"
        if looks[node] > _MOST_LOOKS:
            return f"references are followed too many times over at “{node.at}”"
        new = [it for it in (*_subschema_nodes(node), *_applied_nodes(node)) if it not in seen]
        seen.update(dict.fromkeys(new))
        waiting += new
    return None


def _count_applied(start: Node, looks: dict[Node, int], budget: Budget) -> bool:
    """Count the schemas that `start` applies to one value, itself included. Return False when the number is
    infinite.
    """
    path: dict[Node, Iterator[Node]] = {start: iter(_applied_nodes(start))}
    while path:
        budget.spend()
        node = next(reversed(path))
        following = next(path[node], None)
        if following is None:
            looks[node] = 1 + sum(looks[it] for it in _applied_nodes(node))
            del path[node]
        elif following in path:
            return False
        elif following not in looks:
            path[following] = iter(_applied_nodes(following))
    return True


def _applied_nodes(node: Node) -> list[Node]:
    facets = node.facets
    found = [*facets.conjuncts, *facets.nots]
    found += [member for group in facets.groups for member in group.members]
    for condition in facets.conditions:
        found += [it for it in (condition.when, condition.then, condition.otherwise) if it is not None]
    return found


def _subschema_nodes(node: Node) -> list[Node]:
    if not isinstance(node.schema, dict):
        return []
    return [node.below(at, schema) for _, at, schema in keywords.subschemas(node.schema)]
