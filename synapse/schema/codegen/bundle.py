"""One schema that refers to nothing outside itself, of several that refer to one another. Pure."""

from collections.abc import Mapping
from typing import Any

from synapse.errors.contracts import NoPythonCode
from synapse.schema.references import (
    CannotFollow,
    Document,
    ReferenceResolver,
    Target,
    rewrite,
)

_NAMES = ("$id", "id")


def bundled(document: Document, references: Mapping[str, Document]) -> dict[str, Any]:
    """Return the schema with those that it refers to among its `$defs`, and JSON Pointers as its only references.

    Raises:
        NoPythonCode: when a reference cannot be followed, or leads to a published meta-schema.
    """
    resolver = ReferenceResolver(document, references)
    places: dict[int, str] = {id(resolver.root): ""}
    waiting: list[Document] = []

    def place(target: Target, reference: str) -> str:
        if target.document is None:
            raise NoPythonCode(f"Its “$ref” leads to a meta-schema, “{reference[:200]}”.")
        if id(target.document) not in places:
            places[id(target.document)] = f"/$defs/reference_{len(places)}"
            waiting.append(target.document)
        return f"#{places[id(target.document)]}{target.fragment}"

    def change(part: Document) -> Document:
        # By its address, a part could be asked for where it is not.
        made = {key: each for key, each in part.items() if key not in _NAMES or not isinstance(each, str)}
        try:
            followed = {word: resolver.resolve(part, word)[0] for word in resolver.keywords(part)}
        except CannotFollow as error:
            raise NoPythonCode(str(error)) from None
        for word, target in followed.items():
            del made[word]
            made["$ref"] = place(target, part[word])
        return made

    bundle: dict[str, Any] = rewrite(resolver.root, change)
    added = {}
    for each in waiting:  # grows while it is walked
        added[places[id(each)].rpartition("/")[2]] = rewrite(each, change)
    return {**bundle, "$defs": {**bundle.get("$defs", {}), **added}} if added else bundle
