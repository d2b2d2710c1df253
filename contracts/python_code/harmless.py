"""Does Python code declare models, and do nothing else? Pure.

Whoever downloads the code will import it, and a schema was written by somebody else. The generator has ways to write
what a schema says into code, some of them on purpose (`customTypePath`), so what it wrote is read again before it is
handed out: only what models are declared with may be in it.
"""

import ast

from contracts.errors import NoPythonCode

_MODULES = frozenset(
    [
        "__future__",
        "datetime",
        "decimal",
        "enum",
        "ipaddress",
        "pathlib",
        "pydantic",
        "typing",
        "typing_extensions",
        "uuid",
    ]
)
_CALLS = frozenset(["Field", "ConfigDict", "RootModel", "StringConstraints", "timedelta", "UUID"])
_METHODS = frozenset(["model_rebuild", "model_validate"])
_PARTS = (
    *(ast.Module, ast.Expr, ast.Pass, ast.ImportFrom, ast.alias, ast.ClassDef, ast.Assign, ast.AnnAssign),
    *(ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Tuple, ast.Dict, ast.Set),
    *(ast.Call, ast.keyword, ast.BinOp, ast.BitOr, ast.UnaryOp, ast.USub, ast.Load, ast.Store, ast.Lambda),
    ast.arguments,
)


def check(code: str) -> None:
    """Do nothing when the code only declares models.

    Raises:
        NoPythonCode: when it does anything else, or is no code.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NoPythonCode("What its schema says does not fit into Python code.") from None
    for node in ast.walk(tree):
        if not _is_harmless(node):
            raise NoPythonCode("Its schema would make code that does more than declare models.")


def _is_harmless(node: ast.AST) -> bool:
    if not isinstance(node, _PARTS):
        return False
    match node:
        case ast.ImportFrom():
            return node.level == 0 and node.module in _MODULES
        case ast.ClassDef():
            return not node.decorator_list and all(_says_no_code(base) for base in node.bases)
        case ast.AnnAssign():
            return _says_no_code(node.annotation)
        case ast.Attribute():
            return not node.attr.startswith("_")
        case ast.Name():
            return not node.id.startswith("__")
        case ast.Call(func=ast.Name(id=name)):
            return name in _CALLS
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _METHODS
    return not isinstance(node, ast.Call)


def _says_no_code(annotation: ast.AST) -> bool:
    """Say whether the strings in an annotation, which are evaluated, are names and no expressions."""
    if isinstance(annotation, ast.Constant):
        return not isinstance(annotation.value, str) or annotation.value.isidentifier()
    match annotation:
        case ast.Call() | ast.Subscript(value=ast.Name(id="Literal")):
            return True
    return all(_says_no_code(part) for part in ast.iter_child_nodes(annotation))
