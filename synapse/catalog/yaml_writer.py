"""YAML as a catalog file is exported: for people to read and to compare line by line, and to be read back the same."""

import re
from typing import Any

import yaml

from synapse.catalog.yaml import JSON_NUMBER, OCTAL

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
    # The emitter falls back to quotes where a literal block cannot hold the text. What it does not know: what ends a
    # line in YAML 1.1 alone must be an escape, and an empty line after a block that ends with one would belong to it.
    style = '"' if _NO_BLOCK.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _list(dumper: _Dumper, values: list[Any]) -> yaml.Node:
    short = not any(isinstance(value, (dict, list)) for value in values) and len(str(values)) <= _SHORT
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
# What reads back as a number, or is refused as one, must be quoted where it is text.
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
