"""Resolution of `$ref`, `$dynamicRef` and `$recursiveRef`.

Masking, cost, types, compatibility and generated code must follow a reference to the same schema as the validator. So
the validator's own library resolves all references: jsonschema_rs, which is tested with the official test suite of JSON
Schema. Its lookups return copies. To identify the part of a schema that was copied, the library gets schemas in which
each part has a number. That is costly, so JSON Pointers into schemas without inner names, which are unambiguous, are
followed here.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from operator import is_
from typing import Any
from urllib.parse import quote

import jsonschema_rs

from synapse.errors.contracts import BadSchema

DRAFT_2020_12 = "https://json-schema.org/draft/2020-12/schema"
NAMELESS = "json-schema:///"
"""The base of a schema without `$id`, as the validator has it."""

_OLDER_NUMBERS = (4, 6, 7)
_OLDER_DRAFTS = tuple(f"http://json-schema.org/draft-{number}/schema" for number in ("04", "06", "07"))
_KEYWORDS = {19: ("$ref", "$recursiveRef"), 20: ("$ref", "$dynamicRef")}
"""The keywords that refer, by jsonschema_rs' number of the draft; in older drafts it is `$ref` alone."""
_REFERENCES = frozenset(("$ref", "$dynamicRef", "$recursiveRef"))
_OWN = ("$id", "id", "$schema")
LINKED = frozenset(("$ref", "$dynamicRef"))
HOLD_VALUES = frozenset(("const", "enum", "default", "examples"))
"""Keywords that hold values: what looks like a reference or a name in them is none."""
HOLD_MAPS = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"))
# The highest character, so that it sorts last: some drafts decide by the first member of `dependencies` what the others
# are.
_NUMBER = "\U0010ffff"
_NUMBER_STEP = "/" + quote(_NUMBER)
_ELSEWHERE = -1
_PUBLISHED = ("http://json-schema.org/draft-", "https://json-schema.org/draft/")
_PLAIN_DRAFTS = (DRAFT_2020_12, "https://json-schema.org/draft/2019-09/schema", *_OLDER_DRAFTS)
_PLAIN_ADDRESS = re.compile(r"(https?://[a-z0-9.-]+|json-schema://|urn:[a-z0-9-]+:[A-Za-z0-9])[A-Za-z0-9._:/-]*", re.A)
_PLAIN_POINTER = re.compile(r"(/[A-Za-z0-9._$-]+)*", re.A)
# Keywords with which a reference can mean another schema than its pointer says.
_NOT_PLAIN = frozenset(("$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"))
_LOOKED_AT = _NOT_PLAIN.union(_OWN, ("$ref",))
_POINTER_SAFE = "/~!$&'()*+,;=:@-._"

Document = Mapping[str, Any]


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return the value of a keyword that should be an object, or an empty object in place of any other value."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: Any) -> list[Any]:
    """Return the value of a keyword that should be an array, or an empty array in place of any other value."""
    return value if isinstance(value, list) else []


class CannotFollow(Exception):
    """A reference whose target cannot be determined with certainty. The text names the reference."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A schema that a reference leads to.

    Attributes:
        schema: the schema itself, the same object as the part of the document. A published meta-schema is `True`:
            nothing in it is marked, and none of its parts is followed.
        document: the resolver's `root`, or one of its `documents`; `None` for a published meta-schema.
        pointer: the JSON Pointer of the schema in its document.
    """

    schema: Any
    document: Document | None
    pointer: str

    @property
    def fragment(self) -> str:
        """The JSON Pointer as a URI fragment (RFC 6901, 6)."""
        return quote(self.pointer, safe=_POINTER_SAFE)


class ReferenceResolver:
    """A schema with the schemas that its `$ref` may name.

    Attributes:
        given: the schema and the other schemas by name, unchanged.
        root: the schema as prepared for the validator: with `$schema`, with an absolute `$id` if it has one, and
            with addresses in place of the names in references.
        documents: the other schemas, prepared likewise, by every address with which the validator may request them.
        addresses: the address of each other schema, by the name in references.
    """

    def __init__(self, document: Document, references: Mapping[str, Document]) -> None:
        """Prepare the schemas. No reference is resolved before it is requested.

        Raises:
            BadSchema: when two different schemas have the same `$id`, so that a reference to it would be ambiguous.
        """
        self.given = document, references
        self.addresses = {name: _address_of(each, name) for name, each in references.items()}
        self.root = _prepare(document, self.addresses)
        self.documents: dict[str, dict[str, Any]] = {}
        for name, each in references.items():
            address = self.addresses[name]
            ready = _prepare(each, self.addresses, address)
            if self.documents.setdefault(address, ready) != ready:
                raise BadSchema(f"Two of the schemas that are referred to have one “$id”, “{address[:200]}”.")
        if references:
            if self.documents.pop(self.root_address, self.root) != self.root:
                raise BadSchema(f"The schema and one that it refers to have one “$id”, “{self.root_address[:200]}”.")
            self._add_relative_addresses()
        self._targets: dict[tuple[int, str], list[Target]] = {}
        self._keywords: dict[int, tuple[str, ...]] = {}

    @cached_property
    def root_address(self) -> str:
        """The address of `root`."""
        return _address_of(self.root)

    def targets(self, node: Document) -> list[Target]:
        """Return the targets of the references of a schema; none when it has no reference.

        A dynamic reference is resolved like a plain one. There are several targets when one Python object occurs at
        several places.

        Raises:
            CannotFollow: when one of them cannot be followed.
        """
        return [target for word in self.keywords(node) for target in self.resolve(node, word)]

    def possible_targets(self, node: Document) -> list[Target]:
        """Return the `targets`, and the further schemas to which dynamic references may lead on some path.

        Raises:
            CannotFollow: when one of them cannot be followed.
        """
        dynamic = (target for word in self.keywords(node) for target in self.dynamic_targets(node, word))
        return [*self.targets(node), *dynamic]

    def dynamic_targets(self, node: Document, keyword: str) -> list[Target]:
        """Return the schemas with a dynamic anchor that one reference of a schema may mean."""
        return [] if id(node) in self._plain else self._index.dynamic(node[keyword], keyword)

    def keywords(self, node: Document) -> tuple[str, ...]:
        """Return the keywords of a schema that are references in its draft."""
        if _REFERENCES.isdisjoint(node):
            return ()
        if id(node) in self._plain:
            return ("$ref",) if isinstance(node["$ref"], str) else ()
        if id(node) not in self._keywords:
            drafts = {draft for number in self._index.numbers(node) for _, draft in self._index.bases(number)}
            known = {word for draft in drafts for word in _KEYWORDS.get(draft, ("$ref",))}
            self._keywords[id(node)] = tuple(sorted(word for word in known if isinstance(node.get(word), str)))
        return self._keywords[id(node)]

    def ignores_siblings(self, node: Document) -> bool:
        """Say whether a schema consists only of its `$ref`: older drafts ignore all keywords beside it."""
        if "$ref" not in node:
            return False
        if (document := self._plain.get(id(node))) is not None:
            return _draft_and_id_keyword(document)[0]
        return all(
            draft in _OLDER_NUMBERS for number in self._index.numbers(node) for _, draft in self._index.bases(number)
        )

    def resolve(self, node: Document, keyword: str) -> list[Target]:
        """Return the targets of one reference of a schema.

        Raises:
            CannotFollow: when it has no target.
        """
        key = (id(node), keyword)
        if key not in self._targets:
            target = self._follow(node, keyword)
            self._targets[key] = self._index.resolve(node, keyword) if target is None else [target]
        return self._targets[key]

    def _follow(self, node: Document, keyword: str) -> Target | None:
        """Return the target of a plain reference; `None` when only the library can resolve it."""
        if keyword != "$ref" or (document := self._plain.get(id(node))) is None or not isinstance(node["$ref"], str):
            return None
        address, _, pointer = node["$ref"].partition("#")
        if not _PLAIN_POINTER.fullmatch(pointer):
            return None
        part: Any = self._document_at(address) if address else document
        document = part
        for step in pointer.split("/")[1:]:
            if isinstance(part, Mapping) and step in part:
                part = part[step]
            elif isinstance(part, list) and step in map(str, range(len(part))):
                part = part[int(step)]
            else:
                return None
        return Target(part, document, pointer) if isinstance(part, (Mapping, bool)) else None

    @cached_property
    def _plain(self) -> dict[int, Document]:
        """The documents of the parts, by identity; none when a part needs more than JSON Pointers.

        Values are treated as if they were schemas: an apparent keyword in one only costs time.
        """
        found: dict[int, Document] = {}
        for document in {id(each): each for each in (self.root, *self.documents.values())}.values():
            if not _is_plain(document):
                return {}
            waiting: list[Any] = [document]
            while waiting:
                part = waiting.pop()
                if isinstance(part, list):
                    waiting += part
                elif isinstance(part, dict):
                    if found.setdefault(id(part), document) is not document:
                        return {}
                    if not _LOOKED_AT.isdisjoint(part) and not self._is_plain_part(part, is_top=part is document):
                        return {}
                    waiting += part.values()
        return found

    def _is_plain_part(self, part: Document, *, is_top: bool) -> bool:
        if not _NOT_PLAIN.isdisjoint(part) or (not is_top and any(isinstance(part.get(word), str) for word in _OWN)):
            return False
        reference = part.get("$ref")
        if not isinstance(reference, str):
            return True
        address, mark, fragment = reference.partition("#")
        return (not fragment or fragment.startswith("/")) and (
            self._document_at(address) is not None if address else bool(mark)
        )

    def _document_at(self, address: str) -> Document | None:
        """Return the document with an address that was put in place of a name in a reference."""
        return self.documents.get(address, self.root) if address in self.addresses.values() else None

    @cached_property
    def _index(self) -> "_Index":
        return _Index(self.root_address, self.root, self.documents)

    def _add_relative_addresses(self) -> None:
        """Add the other forms of a name: relative to the `$id` of any of the schemas."""
        bases = [NAMELESS, self.root_address, *self.documents]
        for name, address in self.addresses.items():
            for base in bases:
                with suppress(ValueError):
                    self.documents.setdefault(join(base, name), self.documents.get(address, self.root))
        self.documents.pop(self.root_address, None)


@dataclass(frozen=True, slots=True)
class _Part:
    """A numbered part of a schema.

    Attributes:
        address: the address of its document.
        above: the number of the parent part; `None` for a document.
        named: the numbers of those parts, among itself and its ancestors without the document, that may define an
            address or a draft.
    """

    target: Target
    address: str
    above: int | None
    named: tuple[int, ...]


class _Index:
    """Schemas with numbered parts, and the library that resolves references among them."""

    def __init__(self, address: str, root: Document, documents: Mapping[str, Document]) -> None:
        self._documents = documents
        self._parts: list[_Part] = []
        self._numbers: dict[int, list[int]] = {}
        self._dynamic: dict[str, list[Target]] = {}
        self._recursive: list[Target] = []
        self._bases: dict[int | str, list[tuple[jsonschema_rs.Resolver, int]]] = {}
        self._skipped: dict[int, str | None] = {}
        self._anchors: dict[tuple[str, str], Any] = {}
        self._numbered: dict[int, Any] = {}
        try:
            # Like the validator, it has the schema, and requests the other schemas when it meets their addresses.
            self._registry = jsonschema_rs.Registry(
                [(address, self._add_document(address, root))], retriever=self._retrieve
            )
        except (ValueError, jsonschema_rs.ReferencingError):
            # The validator does not accept such schemas either. No reference in them is followed.
            self._registry = jsonschema_rs.Registry([])

    def _retrieve(self, address: str) -> Any:
        document = self._documents.get(address)
        return {_NUMBER: _ELSEWHERE} if document is None else self._add_document(address, document)

    def _add_document(self, address: str, document: Document) -> Any:
        # One schema under several addresses is numbered once.
        if id(document) not in self._numbered:
            address = address if _own_id(document) is None else _address_of(document)
            self._numbered[id(document)] = self._copy_numbered(
                document, Target(document, document, ""), address, None, ()
            )
        return self._numbered[id(document)]

    def numbers(self, node: Document) -> list[int]:
        """Return the numbers of a schema: several when one Python object occurs at several places."""
        try:
            return self._numbers[id(node)]
        except KeyError:
            raise CannotFollow("The part is in none of the schemas.") from None

    def dynamic(self, reference: Any, keyword: str) -> list[Target]:
        """Return the schemas with a dynamic anchor that a reference may mean."""
        if keyword == "$recursiveRef":
            return self._recursive
        return self._dynamic.get(reference.partition("#")[2], []) if isinstance(reference, str) else []

    def resolve(self, node: Document, keyword: str) -> list[Target]:
        """Return the targets of one reference of a schema."""
        reference = node[keyword]
        found: dict[int, Target] = {}
        for number in self.numbers(node):
            for base, _ in self.bases(number):
                if (target := self._look_up(base, reference)) is not None:
                    found[id(target)] = target
        if not found:
            raise CannotFollow(f"The reference “{str(reference)[:200]}” leads nowhere.")
        return [*found.values()]

    def bases(self, number: int) -> list[tuple[jsonschema_rs.Resolver, int]]:
        """Return the resolvers of a part with the base that the library has at this place, each with its draft.

        There is a second one below an `$id` at a place where the library expects no schema: it applies only to
        references that enter there.
        """
        part = self._parts[number]
        # All parts of a document without inner addresses have the same base.
        key = number if part.named else part.address
        if key not in self._bases:
            found, draft = self._base_at(number)
            skipped = (self._ignored_id(above) for above in part.named)
            others = [(self._registry.resolver(address), draft) for address in skipped if address is not None]
            self._bases[key] = [(found, draft), *others]
        return self._bases[key]

    def _ignored_id(self, number: int) -> str | None:
        """Return the address that the `$id` of a part would define, when the library does not look for an `$id`
        there.
        """
        if number not in self._skipped:
            self._skipped[number] = self._compare_id(number)
        return self._skipped[number]

    def _compare_id(self, number: int) -> str | None:
        part, (resolver, draft) = self._parts[number], self._base_at(number)
        name = part.target.schema.get("id" if draft == 4 else "$id")
        is_older = draft in _OLDER_NUMBERS
        if part.above is None or not isinstance(name, str):
            return None
        if is_older and ("$ref" in part.target.schema or name.startswith("#")):
            return None
        above, _ = self._base_at(part.above)
        try:
            address = join(above.base_uri, name)
        except ValueError:
            return None
        return None if address == resolver.base_uri else address

    def _base_at(self, number: int) -> tuple[jsonschema_rs.Resolver, int]:
        """Return the resolver of a part with the base that the library has at this place, and its draft."""
        part = self._parts[number]
        try:
            found = self._registry.resolver(part.address).lookup(f"#{part.target.fragment}{_NUMBER_STEP}")
        except jsonschema_rs.ReferencingError as error:
            raise CannotFollow(str(error)) from None
        return found.resolver, found.draft

    def _look_up(self, base: jsonschema_rs.Resolver, reference: Any) -> Target | None:
        if not isinstance(reference, str):
            return None
        address, _, fragment = reference.partition("#")
        if fragment and not fragment.startswith("/"):
            number = self._number_of_anchor(base, address, fragment)
        else:
            try:
                # Only the number is looked up, because the schema may be large and would be copied.
                number = base.lookup(f"{address}#{fragment}{_NUMBER_STEP}").contents
            except jsonschema_rs.ReferencingError:
                number = None
        if isinstance(number, int) and number != _ELSEWHERE:
            return self._parts[number].target
        return self._meta_schema(base, address)

    def _number_of_anchor(self, base: jsonschema_rs.Resolver, address: str, name: str) -> Any:
        try:
            key = join(base.base_uri, address) if address else base.base_uri, name
            if key not in self._anchors:
                contents = self._registry.resolver(key[0]).lookup(f"#{name}").contents
                self._anchors[key] = contents.get(_NUMBER) if isinstance(contents, dict) else None
        except (ValueError, jsonschema_rs.ReferencingError):
            return None
        return self._anchors[key]

    @staticmethod
    def _meta_schema(base: jsonschema_rs.Resolver, address: str) -> Target | None:
        """Return the stand-in for a published meta-schema, which only the validator has."""
        try:
            address = join(base.base_uri, address)
        except ValueError:
            return None
        return Target(True, None, "") if address.startswith(_PUBLISHED) else None

    def _copy_numbered(
        self, value: Any, target: Target, address: str, above: int | None, named: tuple[int, ...]
    ) -> Any:
        """Return a copy in which each part has its number, and record the parts."""

        def below(each: Any, step: int | str) -> Any:
            pointer = f"{target.pointer}/{str(step).replace('~', '~0').replace('/', '~1')}"
            return self._copy_numbered(each, Target(each, target.document, pointer), address, above, named)

        if isinstance(value, list):
            return [below(each, at) for at, each in enumerate(value)]
        if not isinstance(value, (Mapping, bool)):
            return value
        number = len(self._parts)
        if above is not None and isinstance(value, Mapping) and any(isinstance(value.get(word), str) for word in _OWN):
            named = (*named, number)
        self._parts.append(_Part(target, address, above, named))
        if isinstance(value, bool):
            return {_NUMBER: number}
        self._numbers.setdefault(id(value), []).append(number)
        if isinstance(anchor := value.get("$dynamicAnchor"), str):
            self._dynamic.setdefault(anchor, []).append(target)
        if value.get("$recursiveAnchor") is True:
            self._recursive.append(target)
        above = number
        return {**{key: below(each, key) for key, each in value.items()}, _NUMBER: number}


@lru_cache(maxsize=1024)
def join(base: str, reference: str) -> str:
    """Return the address that a reference means, normalized like the validator does (RFC 3986, 5.2).

    Raises:
        ValueError: when the two cannot be joined: one is not a URI, or the base is a URN and the reference a path.
    """
    schema = {"$schema": DRAFT_2020_12, "$defs": {"part": {"$id": reference}}}
    registry = jsonschema_rs.Registry([(base, schema)])
    return registry.resolver(base).lookup("#/$defs/part").resolver.base_uri


def _draft_and_id_keyword(document: Document) -> tuple[bool, str]:
    """Return whether a schema has an older draft, and the keyword for its own name."""
    draft = str(document.get("$schema", DRAFT_2020_12)).rstrip("#")
    return draft in _OLDER_DRAFTS, "id" if draft == _OLDER_DRAFTS[0] else "$id"


def _is_plain(document: Document) -> bool:
    """Say whether the root of a schema has a known draft, and no address or one that is unambiguous."""
    names = [document[word] for word in ("$id", "id") if isinstance(document.get(word), str)]
    return str(document["$schema"]).rstrip("#") in _PLAIN_DRAFTS and all(
        _PLAIN_ADDRESS.fullmatch(name) and not name.startswith(_PUBLISHED) for name in names
    )


def _own_id(document: Document) -> str | None:
    """Return the keyword with the root's own name; `None` when it has none."""
    is_older, word = _draft_and_id_keyword(document)
    name = document.get(word)
    if not isinstance(name, str) or (is_older and ("$ref" in document or name.startswith("#"))):
        return None
    return word


def _address_of(document: Document, name: str = "") -> str:
    """Return the address of a schema, from its own name or from the name in a reference."""
    word = _own_id(document)
    name = name if word is None else document[word].rstrip("#")
    try:
        address = join(NAMELESS, name)
    except ValueError:
        address = "#"
    return NAMELESS + quote(name) if "#" in address else address


def _prepare(document: Document, addresses: Mapping[str, str], address: str | None = None) -> dict[str, Any]:
    """Return a schema with its draft and an absolute `$id`, and with addresses in place of the names in references.

    `address` becomes the `$id` if there is none. (In older drafts, there can be no `$id` beside a `$ref`.)
    """
    made: dict[str, Any] = {"$schema": DRAFT_2020_12, **document}
    if (own := _own_id(document)) and ":" not in document[own]:
        # The validator joins a relative `$id` twice. When it is written literally in a reference, the reference means
        # the schema itself.
        address = _address_of(document)
        addresses = {**addresses, document[own]: address}
    if addresses:
        inner = frozenset(_inner_names(document))
        names = {name: found for name, found in addresses.items() if name not in inner}
        made = rewrite(made, partial(_with_addresses, addresses=names))
    is_older, word = _draft_and_id_keyword(made)
    if address is not None and not (is_older and ("$ref" in made or str(made.get(word, "")).startswith("#"))):
        made[word] = address
    return made


def rewrite(schema: Any, change: Callable[[Document], Document], *, is_map: bool = False) -> Any:
    """Return a schema in which `change` was applied to each part. Keywords with values are left unchanged.

    The result is the same object when nothing changes.
    """
    if isinstance(schema, list):
        parts = [rewrite(each, change) for each in schema]
        return schema if all(map(is_, parts, schema)) else parts
    if not isinstance(schema, Mapping):
        return schema
    changed = schema if is_map else change(schema)
    made = {
        key: each
        if key in HOLD_VALUES and not is_map
        else rewrite(each, change, is_map=key in HOLD_MAPS and not is_map)
        for key, each in changed.items()
    }
    return changed if all(map(is_, made.values(), changed.values())) else made


def _with_addresses(part: Document, addresses: Mapping[str, str]) -> Document:
    """Return a part of a schema with addresses in place of the names in references."""
    linked = {}
    for word in LINKED & part.keys():
        reference = part[word]
        if not isinstance(reference, str) or reference.startswith("#"):
            continue
        name, mark, fragment = reference.partition("#")
        if reference in addresses:
            linked[word] = addresses[reference]
        elif name in addresses:
            linked[word] = f"{addresses[name]}{mark}{fragment}"
    return {**part, **linked} if linked else part


def _inner_names(document: Any) -> Iterator[str]:
    """Yield the names that parts of a schema define for themselves."""
    waiting = [document] if not isinstance(document, Mapping) else [*document.values()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, Mapping):
            yield from (value[word] for word in ("$id", "id") if isinstance(value.get(word), str))
            waiting += value.values()
