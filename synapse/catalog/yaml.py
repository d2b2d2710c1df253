"""Read and write the YAML of catalog files: JSON's values only, in texts that every reader takes alike.

- Words are text, as in YAML 1.2: `off`, `yes` and `2024-01-15` need no quotes. `true`, `false` and `null` are JSON's.
- A number is written as in JSON. Numbers for some readers only (`012`, `0x1F`, `1_000`) are refused, and so are tags,
  keys that are not text, and duplicate keys.
- Aliases (`*name`) and merge keys (`<<`) are resolved, within limits on nesting and on the size that aliases add.

The limits are measured on the parser's events, before any value is built: a few aliases of aliases make a value of any
size, and deep nesting ends the process in libyaml's composer.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from synapse.catalog.file import LARGEST_NUMBER, BadCatalog, CatalogError, Place, quoted

try:
    # libyaml, where PyYAML was built with it: ten times faster.
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]


__all__ = ["Loader", "check"]

MAX_DEPTH = 100
MAX_ALIASED = 200_000

# How many nodes a value has, and how many levels.
_Extent = tuple[int, int]


def check(text: str) -> None:
    """Check a text against the limits.

    Raises:
        BadCatalog: when it breaks one, or an alias stands inside what it names.
        yaml.YAMLError: when it is not YAML.
    """
    measure = _Measure()
    for event in yaml.parse(text, Loader=Loader):
        try:
            measure.take(event)
        except ValueError as error:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BadCatalog(f"line {line}: {error}") from None


class _Measure:
    def __init__(self) -> None:
        # An anchor whose value is still open has no extent yet.
        self._anchors: dict[str, _Extent | None] = {}
        self._aliased = 0
        self._open: list[tuple[str | None, _Extent]] = []

    def take(self, event: yaml.Event) -> None:
        """Count the next event; a ValueError names the limit that it exceeds."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, (1, 1)))
            if event.anchor:
                self._anchors[event.anchor] = None
            if len(self._open) > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._add(*self._open.pop())
        elif isinstance(event, yaml.ScalarEvent):
            self._add(event.anchor, (1, 1))
        elif isinstance(event, yaml.AliasEvent):
            # One without an anchor is the composer's to refuse.
            extent = self._anchors.get(event.anchor or "", (1, 1))
            if extent is None:
                raise ValueError(f"the alias *{event.anchor} stands inside what it names")
            self._aliased += extent[0]
            if self._aliased > MAX_ALIASED:
                raise ValueError(f"its aliases add more than {MAX_ALIASED} values")
            self._add(None, extent)

    def _add(self, anchor: str | None, extent: _Extent) -> None:
        """Add a whole value to the one that it stands in."""
        nodes, levels = extent
        if anchor:
            self._anchors[anchor] = extent
        if len(self._open) + levels > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep, with aliases resolved")
        if self._open:
            name, (outer_nodes, outer_levels) = self._open[-1]
            self._open[-1] = name, (outer_nodes + nodes, max(outer_levels, levels + 1))


MAX_BYTES = 64 * 1024 * 1024

_PLAIN = "plain"
_TEXT, _LIST, _MAPPING = ("tag:yaml.org,2002:" + kind for kind in ("str", "seq", "map"))
_WORDS = {"": None, "~": None, **dict.fromkeys(("null", "Null", "NULL"))}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+)?(?P<exponent>[eE][+-]?[0-9]+)?")
OCTAL = re.compile(r"0o[0-7]+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NUMBERS_OF_1_1 = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_resolve: Callable[[type[Node], str, tuple[bool, bool]], str] = yaml.resolver.Resolver().resolve


class _Loader(Loader):
    """Composes nodes and records for each scalar whether it was written plain; its meaning is decided in this
    module."""

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _LIST if kind is SequenceNode else _MAPPING


class Source:
    """The value of a YAML text, the errors in it, and the line of each part."""

    def __init__(self, root: Node) -> None:
        self.mistakes: list[CatalogError] = []
        self._root = root
        self.value = self._convert(root, ())

    def line_of(self, place: Place) -> int:
        """Return the line of a part of the value, or of its nearest parent."""
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
        elif _UNSTORABLE.search(text):
            self._refuse(node, place, "the text holds a NUL character or half of a surrogate pair")
        elif node.tag == _PLAIN:
            try:
                return _plain(text)
            except ValueError as error:
                self._refuse(node, place, str(error))
        return text

    def _refuse(self, node: Node, place: Place, message: str) -> None:
        self.mistakes.append(CatalogError(place=place, message=message, line=node.start_mark.line + 1))


def read(data: bytes) -> Source:
    """Parse a YAML text.

    Raises:
        BadCatalog: when it cannot be read at all, or is over a limit. Lesser errors are in the source's `mistakes`.
    """
    if len(data) > MAX_BYTES:
        raise BadCatalog(f"it is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadCatalog(f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8") from None
    try:
        check(text)
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
    """Return the value of a scalar without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if (number := JSON_NUMBER.fullmatch(text)) and (number["fraction"] or number["exponent"]):
        if abs(float(text)) == float("inf"):
            raise ValueError(f"{quoted(text)} is larger than a number can be")
        return float(text)
    if number:
        # Converting a million digits would take seconds.
        if len(text) > 20 or not -LARGEST_NUMBER - 1 <= int(text) <= 2 * LARGEST_NUMBER + 1:
            raise ValueError(f"{quoted(text)} does not fit in 64 bits; put it in quotes to make it text")
        return int(text)
    # “1:30” is a number of YAML 1.1 too, in base 60; times are so common that they are text here, as in YAML 1.2.
    is_number_of_1_1 = ":" not in text and _resolve(ScalarNode, text, (True, False)) in _NUMBERS_OF_1_1
    if is_number_of_1_1 or OCTAL.fullmatch(text):
        raise ValueError(f"{quoted(text)} is a number to some readers only; write it as JSON does, or put it in quotes")
    return text


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


_WIDTH = 110
# A list of words stands on one line when it is as short as this.
_SHORT = 70
_TOP_ITEM = re.compile(r"  - ")
_NO_BLOCK = re.compile(r"[\x85\u2028\u2029]|\n\n\Z|\A\n\Z")
_SECTION = re.compile(r"\w+:")


class _Dumper(yaml.SafeDumper):
    """Block style, lists indented, nothing shared: no anchors and aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.Node:
    # The emitter falls back to quotes where a literal block cannot hold the text. The emitter ignores two cases: a
    # character that ends a line in YAML 1.1 alone must be an escape, and an empty line after a block that ends with one
    # would belong to it.
    style = '"' if _NO_BLOCK.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    short = not any(isinstance(value, (dict, list)) for value in values) and len(str(values)) <= _SHORT
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
# A text that reads back as a number, or is refused as one, must be quoted.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"(?:{JSON_NUMBER.pattern})$"), list("-0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(f"(?:{OCTAL.pattern})$"), ["0"])


def write(document: dict[str, Any]) -> str:
    """Return the YAML text of a document whose sections are lists of mappings; an empty line parts the mappings."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH
    )
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and (_SECTION.match(line) or (_TOP_ITEM.match(line) and not _SECTION.match(lines[-1]))):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
