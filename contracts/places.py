"""Where the references of a schema lead. No Django, no I/O."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

_TOP = "http://nameless.invalid/"


class Places:
    """The parts of a schema, and of those that it refers to, by the addresses under which they can be referred to."""

    def __init__(self, document: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]]) -> None:
        self._places: dict[str, Any] = {}
        self._bases: dict[int, str] = {}
        self._dynamic: dict[str, list[Any]] = {}
        self._recursive: list[Any] = []
        for name, each in references.items():
            self._index(each, urldefrag(_joined(_TOP, name))[0])
        self._index(document, _TOP)

    def target(self, node: Mapping[str, Any], reference: Any) -> Any:
        """Return what a reference of the node leads to; None when it is not known here: the validator refuses it."""
        if not isinstance(reference, str):
            return None
        address, fragment = urldefrag(_joined(self._bases.get(id(node), _TOP), reference))
        if fragment and not fragment.startswith("/"):
            return self._places.get(f"{address}#{fragment}")
        found = self._places.get(address)
        for part in fragment.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(found, Mapping):
                found = found.get(name)
            elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:6]) < len(found):
                found = found[int(name[:6])]
            else:
                return None
        return found

    def may_mean(self, reference: Any) -> list[Any]:
        """Return what a `$dynamicRef` or a `$recursiveRef` may mean, depending on the way that leads to it."""
        if not isinstance(reference, str):
            return []
        return [*self._dynamic.get(urldefrag(reference)[1], ()), *(self._recursive if reference == "#" else ())]

    def _index(self, node: Any, base: str) -> None:
        waiting = [(node, base, True)]
        while waiting:
            each, base, is_top = waiting.pop()
            if isinstance(each, list):
                waiting += [(part, base, False) for part in each]
            elif isinstance(each, Mapping):
                own = each.get("$id", each.get("id"))
                if is_top:
                    self._places.setdefault(base, each)
                if isinstance(own, str):
                    base = urldefrag(_joined(base, own))[0]
                    self._places.setdefault(base, each)
                self._index_anchors(each, base)
                self._bases[id(each)] = base
                waiting += [(part, base, False) for part in each.values()]

    def _index_anchors(self, node: Mapping[str, Any], base: str) -> None:
        for word in ("$anchor", "$dynamicAnchor"):
            if isinstance(node.get(word), str):
                self._places.setdefault(f"{base}#{node[word]}", node)
        if isinstance(node.get("$dynamicAnchor"), str):
            self._dynamic.setdefault(node["$dynamicAnchor"], []).append(node)
        if node.get("$recursiveAnchor") is True:
            self._recursive.append(node)


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:  # no address, so nothing is found under it
        return ""
