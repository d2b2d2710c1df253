"""Checks that generated Python code only declares models, although its schema comes from a user.

Users download the code and import it. With the generator's own keywords, a schema could decide what is written into the
code (`customTypePath`, `customBasePath`, `x-python-import`, `x-python-type`, `x-enum-varnames` and more) and which
documents the generator reads (`discriminator`, `$id`). So the generator gets only the keywords of JSON Schema, and its
code is checked before it is returned: it may contain only declarations of models with known names.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from synapse.errors.contracts import NoPythonCode
from synapse.schema.references import Document, rewrite

# The keywords of JSON Schema, drafts 4 to 2020-12. Those that name schemas (`$id`, `$anchor`) are left out: a bundled
# schema refers only to places in itself.
_KEYWORDS = frozenset(
    [
        *("$schema", "$ref", "$defs", "definitions", "title", "description", "default", "examples", "deprecated"),
        *("readOnly", "writeOnly", "type", "enum", "const", "format", "contentEncoding", "contentMediaType"),
        *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependentRequired"),
        *("dependencies", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern"),
        *("minLength", "maxLength", "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"),
        *("minContains", "maxContains", "minItems", "maxItems", "uniqueItems", "properties", "patternProperties"),
        *("additionalProperties", "unevaluatedProperties", "propertyNames", "required", "minProperties"),
        "maxProperties",
    ]
)
# For this format, the generator uses a type of a package that readers of the code need not have.
_FOREIGN_FORMAT = "ulid"

_IMPORTED: Mapping[str, frozenset[str]] = {
    "__future__": frozenset(["annotations"]),
    "annotated_types": frozenset(["MultipleOf"]),
    "datetime": frozenset(["date", "datetime", "time", "timedelta"]),
    "decimal": frozenset(["Decimal"]),
    "enum": frozenset(["Enum", "IntEnum", "StrEnum"]),
    "ipaddress": frozenset(["IPv4Address", "IPv4Network", "IPv6Address", "IPv6Network"]),
    "pathlib": frozenset(["Path"]),
    "pydantic": frozenset(
        [
            *("AnyHttpUrl", "AnyUrl", "AwareDatetime", "Base64Bytes", "Base64Str", "BaseModel", "ConfigDict"),
            *("EmailStr", "Field", "FutureDate", "FutureDatetime", "HttpUrl", "NaiveDatetime", "NegativeFloat"),
            *("NegativeInt", "NonNegativeFloat", "NonNegativeInt", "NonPositiveFloat", "NonPositiveInt", "PastDate"),
            *("PastDatetime", "PositiveFloat", "PositiveInt", "RootModel", "SecretStr", "StrictBool", "StrictBytes"),
            *("StrictFloat", "StrictInt", "StrictStr", "StringConstraints", "UUID1", "UUID3", "UUID4", "UUID5"),
        ]
    ),
    "typing": frozenset(
        [
            *("Annotated", "Any", "ClassVar", "Dict", "FrozenSet", "List", "Literal", "Mapping", "Optional"),
            *("Sequence", "Set", "Tuple", "TypeAlias", "Union"),
        ]
    ),
    "typing_extensions": frozenset(["TypeAliasType"]),
    "uuid": frozenset(["UUID"]),
}
_BUILTINS = frozenset(["bool", "bytes", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"])
_CALLS = frozenset(
    ["ConfigDict", "Decimal", "Field", "MultipleOf", "Path", "RootModel", "StringConstraints", "UUID", "timedelta"]
)
_METHODS = frozenset(["model_rebuild", "model_validate"])
_PARTS = (
    *(ast.Module, ast.Expr, ast.Pass, ast.ImportFrom, ast.alias, ast.ClassDef, ast.Assign, ast.AnnAssign),
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set),
    *(ast.Call, ast.keyword, ast.BinOp, ast.BitOr, ast.UnaryOp, ast.USub, ast.Load, ast.Store, ast.Lambda),
    ast.arguments,
)


def plain_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with only the keywords of JSON Schema, in itself and in all schemas below.

    An unknown keyword is kept if a `$ref` leads through it, because it may contain schemas.
    """
    steps = frozenset(step for step in _reference_steps(schema) if not step.lower().startswith(("x-", "custom")))

    def plain(part: Document) -> Document:
        kept = {word: value for word, value in part.items() if word in _KEYWORDS or word in steps}
        if kept.get("format") == _FOREIGN_FORMAT:
            del kept["format"]
        return kept

    made: dict[str, Any] = rewrite(schema, plain)
    return made


def _reference_steps(value: Any) -> Iterator[str]:
    """Yield the names through which the references of a schema lead."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting += each
        elif isinstance(each, Mapping):
            waiting += each.values()
            if isinstance(target := each.get("$ref"), str):
                yield from target.partition("#")[2].split("/")


def check(code: str) -> None:
    """Check that the code only declares models.

    Raises:
        NoPythonCode: when the code does anything else, or is not valid Python.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NoPythonCode("Its schema cannot be written as Python code.") from None
    names = _Names(tree)
    for node in ast.walk(tree):
        if not _is_harmless(node, names):
            raise NoPythonCode("Its schema would make code that does more than declare models.")


class _Names:
    """The names that code may use (of types, imports and declarations), and the names that it may call."""

    def __init__(self, tree: ast.Module) -> None:
        self.known, self.callable = set(_BUILTINS), set(_CALLS)
        for node in ast.walk(tree):
            match node:
                case ast.ImportFrom():
                    self.known.update(each.asname or each.name for each in node.names)
                    self.callable.update(each.asname or each.name for each in node.names if each.name in _CALLS)
                case ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                    self.known.add(name)


def _is_harmless(node: ast.AST, names: _Names) -> bool:
    if not isinstance(node, _PARTS):
        return False
    match node:
        case ast.ImportFrom():
            return node.level == 0 and all(each.name in _IMPORTED.get(node.module or "", ()) for each in node.names)
        case ast.ClassDef():
            return not node.decorator_list and all(_says_no_code(base) for base in node.bases)
        case ast.AnnAssign():
            return _says_no_code(node.annotation)
        case ast.Attribute():
            return not node.attr.startswith("_")
        case ast.Name():
            return not node.id.startswith("__") and node.id in names.known
        case ast.Call(func=ast.Name(id=name)):
            return name in names.callable
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _METHODS
    return not isinstance(node, ast.Call)


def _says_no_code(annotation: ast.AST) -> bool:
    """Say whether the strings in an annotation, which are evaluated, are only names and not other expressions."""
    if isinstance(annotation, ast.Constant):
        return not isinstance(annotation.value, str) or annotation.value.isidentifier()
    match annotation:
        case ast.Call() | ast.Subscript(value=ast.Name(id="Literal")):
            return True
    return all(_says_no_code(part) for part in ast.iter_child_nodes(annotation))
