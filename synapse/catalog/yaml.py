"""Reads and writes the YAML of catalog files: JSON values only, in a notation that all YAML parsers understand alike.

- Words are text, as in YAML 1.2: `off`, `yes` and `2024-01-15` need no quotes. `true`, `false` and `null` are as in
  JSON.
- A number is written as in JSON. Texts that only some parsers take for numbers (`012`, `0x1F`, `1_000`) are refused,
  and so are tags, keys that are not text, and duplicate keys.
- Aliases (`*name`) and merge keys (`<<`) are resolved, within limits on nesting and on the size that aliases add.

The limits are checked on the parser's events, before any value is built: a few aliases of aliases could make a value of
any size, and deep nesting crashes libyaml's composer.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from synapse.catalog.file import LARGEST_NUMBER, BadCatalog, CatalogError, Place, quote

try:
    # libyaml, where PyYAML was built with it: ten times faster.
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]


__all__ = ["Loader", "check_limits"]

MAX_DEPTH = 100
MAX_ALIASED = 200_000

# The number of nodes of a value, and the number of its levels.
_Extent = tuple[int, int]


def check_limits(text: str) -> None:
    """Check a text against the limits.

    Raises:
        BadCatalog: when it exceeds one, or an alias is inside the value that it refers to.
        yaml.YAMLError: when it is not YAML.
    """
    measure = _Measure()
    for event in yaml.parse(text, Loader=Loader):
        try:
            measure.count_event(event)
        except ValueError as error:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise BadCatalog(f"line {line}: {error}") from None


class _Measure:
    def __init__(self) -> None:
        # An anchor whose value is still open has no extent yet.
        self._anchors: dict[str, _Extent | None] = {}
        self._aliased = 0
        self._open: list[tuple[str | None, _Extent]] = []

    def count_event(self, event: yaml.Event) -> None:
        """Count the next event; a ValueError names the limit that it exceeds."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, (1, 1)))
            if event.anchor:
                self._anchors[event.anchor] = None
            if len(self._open) > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close_value(*self._open.pop())
        elif isinstance(event, yaml.ScalarEvent):
            self._close_value(event.anchor, (1, 1))
        elif isinstance(event, yaml.AliasEvent):
            # The composer refuses an alias without an anchor.
            extent = self._anchors.get(event.anchor or "", (1, 1))
            if extent is None:
                raise ValueError(f"the alias *{event.anchor} is inside the value that it refers to")
            self._aliased += extent[0]
            if self._aliased > MAX_ALIASED:
                raise ValueError(f"its aliases add more than {MAX_ALIASED} values")
            self._close_value(None, extent)

    def _close_value(self, anchor: str | None, extent: _Extent) -> None:
        """Add a complete value to the collection that contains it."""
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


class _NodeLoader(Loader):
    """Composes nodes, and records for each scalar whether it was plain (without quotes), which `_parse_plain`
    interprets.
    """

    def resolve(self, kind: type[Node], value: Any, implicit: Any) -> str:
        if kind is ScalarNode:
            return _PLAIN if implicit[0] else _TEXT
        return _LIST if kind is SequenceNode else _MAPPING


class Source:
    """The value of a YAML text, with the errors in it and the line of each part."""

    def __init__(self, root: Node) -> None:
        self.errors: list[CatalogError] = []
        self._root = root
        self.value = self._convert(root, ())

    def line_of(self, place: Place) -> int:
        """Return the line of a part of the value, or of its nearest parent."""
        node, line = self._root, self._root.start_mark.line
        for part in place:
            key, found = _find_part(node, part)
            if found is None:
                break
            node, line = found, (key or found).start_mark.line
        return int(line) + 1

    def _convert(self, node: Node, place: Place) -> Any:
        if isinstance(node, ScalarNode):
            return self._convert_scalar(node, place)
        if node.tag not in (_LIST, _MAPPING):
            self._refuse(node, place, f"tags are not allowed: write the value without {node.tag}")
        if isinstance(node, MappingNode):
            return self._convert_mapping(node, place)
        return [self._convert(child, (*place, index)) for index, child in enumerate(node.value)]

    def _convert_mapping(self, node: MappingNode, place: Place) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                for mapping in self._merged_mappings(value_node, place):
                    merged = {**mapping, **merged}
                continue
            key = self._convert_key(key_node, place)
            if key in own:
                self._refuse(key_node, (*place, key), "the key appears twice in one mapping")
            own[key] = self._convert(value_node, (*place, key))
        return {**merged, **own}

    def _merged_mappings(self, node: Node, place: Place) -> Iterator[dict[str, Any]]:
        for part in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(part, MappingNode):
                yield self._convert_mapping(part, place)
            else:
                self._refuse(part, place, "“<<” takes a mapping, or a list of mappings")

    def _convert_key(self, node: Node, place: Place) -> str:
        if not isinstance(node, ScalarNode):
            self._refuse(node, place, "a key is text, not a list or a mapping")
            return ""
        key = self._convert_scalar(node, place)
        if not isinstance(key, str):
            self._refuse(node, place, f"a key is text; put {quote(node.value)} in quotes")
        return str(node.value)

    def _convert_scalar(self, node: ScalarNode, place: Place) -> Any:
        text: str = node.value
        if node.tag not in (_PLAIN, _TEXT):
            self._refuse(node, place, f"tags are not allowed: write the value without {node.tag}")
        elif _UNSTORABLE.search(text):
            self._refuse(node, place, "the text holds a NUL character or half of a surrogate pair")
        elif node.tag == _PLAIN:
            try:
                return _parse_plain(text)
            except ValueError as error:
                self._refuse(node, place, str(error))
        return text

    def _refuse(self, node: Node, place: Place, message: str) -> None:
        self.errors.append(CatalogError(place=place, message=message, line=node.start_mark.line + 1))


def parse_yaml(data: bytes) -> Source:
    """Parse a YAML text.

    Raises:
        BadCatalog: when it is not YAML, or exceeds a limit. Other errors are in the `errors` of the result.
    """
    if len(data) > MAX_BYTES:
        raise BadCatalog(f"it is larger than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadCatalog(f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8") from None
    try:
        check_limits(text)
        root = yaml.compose(text, Loader=_NodeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        error_text = ", ".join(part for part in (error.problem, error.context) if part)
        raise BadCatalog(f"line {mark.line + 1 if mark else 1}: not valid YAML: {error_text}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        raise BadCatalog(f"line {line}: the character U+{int(error.character):04X} is not allowed in YAML") from None
    if root is None:
        raise BadCatalog("it is empty")
    return Source(root)


def _parse_plain(text: str) -> Any:
    """Return the value of a scalar without quotes."""
    if text in _WORDS:
        return _WORDS[text]
    if (number := JSON_NUMBER.fullmatch(text)) and (number["fraction"] or number["exponent"]):
        if abs(float(text)) == float("inf"):
            raise ValueError(f"{quote(text)} is larger than a number can be")
        return float(text)
    if number:
        # Converting a million digits would take seconds.
        if len(text) > 20 or not -LARGEST_NUMBER - 1 <= int(text) <= 2 * LARGEST_NUMBER + 1:
            raise ValueError(f"{quote(text)} does not fit in 64 bits; put it in quotes to make it text")
        return int(text)
    # In YAML 1.1 “1:30” is a number in base 60. Times are so common that they are text here, as in YAML 1.2.
    is_number_of_1_1 = ":" not in text and _resolve(ScalarNode, text, (True, False)) in _NUMBERS_OF_1_1
    if is_number_of_1_1 or OCTAL.fullmatch(text):
        raise ValueError(
            f"{quote(text)} is a number to some YAML parsers only; write it as JSON does, or put it in quotes"
        )
    return text


def _is_merge(node: Node) -> bool:
    return node.tag == _PLAIN and node.value == "<<"


def _find_part(node: Node, part: str | int) -> tuple[Node | None, Node | None]:
    """Return the nodes of a part: the key and the value in a mapping, None and the item in a list."""
    if isinstance(node, SequenceNode):
        index = int(part) if str(part).isdecimal() else len(node.value)
        return None, node.value[index] if index < len(node.value) else None
    if isinstance(node, MappingNode):
        for key, value in reversed(node.value):
            if not _is_merge(key) and key.value == part:
                return key, value
    return None, None


_WIDTH = 110
# A list of plain values of at most this many characters is written on one line.
_SHORT = 70
_TOP_ITEM = re.compile(r"  - ")
_NO_BLOCK = re.compile(r"[\x85\u2028\u2029]|\n\n\Z|\A\n\Z")
_SECTION = re.compile(r"\w+:")


class _Dumper(yaml.SafeDumper):
    """Writes block style with indented lists, and no anchors or aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.Node:
    # The emitter uses quotes where a literal block cannot hold the text. Two cases are not covered by the emitter. A
    # character that ends a line only in YAML 1.1 must be escaped. And a block that ends with an empty line would absorb
    # the empty lines that `dump_yaml` adds.
    style = '"' if _NO_BLOCK.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    short = not any(isinstance(value, (dict, list)) for value in values) and len(str(values)) <= _SHORT
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
# A text that would be read as a number, or be refused as one, must be quoted.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"(?:{JSON_NUMBER.pattern})$"), list("-0123456789"))
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(f"(?:{OCTAL.pattern})$"), ["0"])


def dump_yaml(document: dict[str, Any]) -> str:
    """Return the YAML text of a document whose sections are lists of mappings, with empty lines between the
    mappings.
    """
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH
    )
    lines: list[str] = []
    for line in text.split("\n"):
        if lines and (_SECTION.match(line) or (_TOP_ITEM.match(line) and not _SECTION.match(lines[-1]))):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)
