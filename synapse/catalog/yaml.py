"""YAML as a catalog file may be: only what JSON can say, read so that what stands there is what is meant.

- Words are text, as in YAML 1.2: `off`, `yes` and `2024-01-15` need no quotes. `true`, `false` and `null` are JSON's.
- A number is written as in JSON. What some readers take for a number and others do not (`012`, `0x1F`, `1_000`) is
  refused, and so are tags, keys that are no text, and a key that appears twice.
- Aliases (`*name`) and merge keys (`<<`) are resolved, within the limits of `yaml_limits`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from synapse.catalog import yaml_limits
from synapse.catalog.file import (
    LARGEST_NUMBER,
    BadCatalog,
    Mistake,
    Place,
    quoted,
)

MAX_BYTES = 64 * 1024 * 1024

_PLAIN = "plain"
_TEXT, _LIST, _MAPPING = ("tag:yaml.org,2002:" + kind for kind in ("str", "seq", "map"))
_WORDS = {"": None, "~": None, **dict.fromkeys(("null", "Null", "NULL"))}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
OCTAL = re.compile(r"0o[0-7]+")
_NUMBERS_OF_1_1 = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_resolve: Callable[[type[Node], str, tuple[bool, bool]], str] = yaml.resolver.Resolver().resolve


class _Loader(yaml_limits.Loader):
    """Composes nodes and says of each scalar whether it was written plain; what that means is decided here."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _LIST if kind is SequenceNode else _MAPPING


class Source:
    """The value of a YAML text, what is wrong with it, and where in the text each part of it is."""

    def __init__(self, root: Node) -> None:
        self.mistakes: list[Mistake] = []
        self._root = root
        self.value = self._convert(root, ())

    def line_of(self, place: Place) -> int:
        """Return the line on which a part of the value stands, or what comes nearest to it."""
        node, line = self._root, self._root.start_mark.line
        for part in place:
            key, found = _inside(node, part)
            if found is None:
                break
            node, line = found, (key or found).start_mark.line
        return int(line) + 1

    def _convert(self, node: Node, place: Place) -> Any:
        if isinstance(node, ScalarNode):
            return self._scalar(node, place)
        if node.tag not in (_LIST, _MAPPING):
            self._refuse(node, place, f"the tag {node.tag} is not read here")
        if isinstance(node, MappingNode):
            return self._mapping(node, place)
        return [self._convert(child, (*place, index)) for index, child in enumerate(node.value)]

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                for mapping in self._merged(value_node, place):
                    merged = {**mapping, **merged}
                continue
            key = self._key(key_node, place)
            if key in own:
                self._refuse(key_node, (*place, key), "the key appears twice in one mapping")
            own[key] = self._convert(value_node, (*place, key))
        return {**merged, **own}

    def _merged(self, node: Node, place: Place) -> Iterator[dict[str, Any]]:
        for part in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(part, MappingNode):
                yield self._mapping(part, place)
            else:
                self._refuse(part, place, "“<<” takes a mapping, or a list of mappings")

    def _key(self, node: Node, place: Place) -> str:
        if not isinstance(node, ScalarNode):
            self._refuse(node, place, "a key is text, not a list or a mapping")
            return ""
        key = self._scalar(node, place)
        if not isinstance(key, str):
            self._refuse(node, place, f"a key is text; put {quoted(node.value)} in quotes")
        return str(node.value)

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        text: str = node.value
        if node.tag not in (_PLAIN, _TEXT):
            self._refuse(node, place, f"the tag {node.tag} is not read here; write the value without it")
        elif not _can_be_stored(text):
            self._refuse(node, place, "the text holds a NUL character or half of a surrogate pair")
        elif node.tag == _PLAIN:
            try:
                return _plain(text)
            except ValueError as error:
                self._refuse(node, place, str(error))
        return text

    def _refuse(self, node: Node, place: Place, message: str) -> None:
        self.mistakes.append(Mistake(place=place, message=message, line=node.start_mark.line + 1))


def read(data: bytes) -> Source:
    """Return what a YAML text says.

    Raises:
        BadCatalog: when it cannot be read at all, or is over a limit. Lesser mistakes are in the source's `mistakes`.
    """
    if len(data) > MAX_BYTES:
        raise BadCatalog(f"it is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadCatalog(f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8") from None
    try:
        yaml_limits.check(text)
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.problem, error.context) if part)
        raise BadCatalog(f"line {mark.line + 1 if mark else 1}: not valid YAML: {said}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        raise BadCatalog(f"line {line}: the character U+{int(error.character):04X} cannot stand here") from None
    if root is None:
        raise BadCatalog("it is empty")
    return Source(root)


def _plain(text: str) -> Any:
    """Return what a scalar without quotes means.

    Raises:
        ValueError: when readers of YAML or of JSON do not agree on it; the message is a sentence.
    """
    if text in _WORDS:
        return _WORDS[text]
    if number := JSON_NUMBER.fullmatch(text):
        return _number(text, whole=not (number["fraction"] or number["exponent"]))
    if OCTAL.fullmatch(text) or _is_number_of_1_1(text):
        raise ValueError(f"{quoted(text)} is a number to some readers only; write it as JSON does, or put it in quotes")
    return text


def _is_number_of_1_1(text: str) -> bool:
    # “1:30” is one too, in base 60; times are so common that they are text here, as in YAML 1.2.
    return ":" not in text and _resolve(ScalarNode, text, (True, False)) in _NUMBERS_OF_1_1


def _number(text: str, *, whole: bool) -> int | float:
    if not whole:
        number = float(text)
        if abs(number) == float("inf"):
            raise ValueError(f"{quoted(text)} is larger than a number can be")
        return number
    # Converting a million digits would take seconds.
    if len(text) > 20 or not -LARGEST_NUMBER - 1 <= int(text) <= 2 * LARGEST_NUMBER + 1:
        raise ValueError(f"{quoted(text)} does not fit in 64 bits; put it in quotes to make it text")
    return int(text)


def _can_be_stored(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _is_merge(node: Node) -> bool:
    return node.tag == _PLAIN and node.value == "<<"


def _inside(node: Node, part: str | int) -> tuple[Node | None, Node | None]:
    """Return the key and the value of one part of a mapping, or an item of a list."""
    if isinstance(node, SequenceNode):
        index = int(part) if str(part).isdecimal() else len(node.value)
        return None, node.value[index] if index < len(node.value) else None
    if isinstance(node, MappingNode):
        for key, value in reversed(node.value):
            if not _is_merge(key) and key.value == part:
                return key, value
    return None, None
