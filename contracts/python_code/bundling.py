"""One schema that refers to nothing outside itself, of several that refer to one another. Pure."""

from collections.abc import Mapping
from typing import Any

from contracts.errors import NoPythonCode
from contracts.references import CannotFollow, Document, ReferenceResolver, Target, rewrite

_NAMES = ("$id", "id")


def bundled(document: Document, references: Mapping[str, Document]) -> dict[str, Any]:
    """Return the schema with those that it refers to among its `$defs`, and JSON Pointers as its only references.

    Raises:
        NoPythonCode: when a reference cannot be followed, or leads to a published meta-schema.
    """
    resolver = ReferenceResolver(document, references)
    addresses = dict.fromkeys(resolver.addresses[name] for name in references)
    places = {address: f"/$defs/reference_{number}" for number, address in enumerate(addresses, 1)}
    places[resolver.root_address] = ""

    def change(part: Document) -> Document:
        # By its address, a part could be asked for where it is not.
        made = {key: each for key, each in part.items() if key not in _NAMES or not isinstance(each, str)}
        try:
            followed = {word: resolver.resolve(part, word) for word in resolver.keywords(part)}
        except CannotFollow as error:
            raise NoPythonCode(str(error)) from None
        for word, targets in followed.items():
            del made[word]
            made["$ref"] = _place(targets[0], part[word], places)
        return made

    bundle: dict[str, Any] = rewrite(resolver.root, change)
    others = {place.rpartition("/")[2]: resolver.documents[address] for address, place in places.items() if place}
    if others:
        bundle["$defs"] = {**bundle.get("$defs", {}), **{name: rewrite(each, change) for name, each in others.items()}}
    return bundle


def _place(target: Target, reference: str, places: Mapping[str, str]) -> str:
    if target.address not in places:
        raise NoPythonCode(f"Its “$ref” leads to a meta-schema, “{reference[:200]}”.")
    return f"#{places[target.address]}{target.fragment}"
