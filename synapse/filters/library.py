"""The library that parses and evaluates CEL, `common-expression-language`: loaded with the first filter of a process.

Importing its package would load a command-line program with typer, rich and prompt_toolkit: 0.4 s and 29 MB. So its
extension module is loaded by itself: 0.03 s and 4 MB.
"""

from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any


@cache
def load_cel() -> Any:
    """Return the extension module of the library.

    Raises:
        ImportError: when the library is not installed.
    """
    package = find_spec("cel")
    spec = package and PathFinder.find_spec("cel.cel", package.submodule_search_locations)
    if spec is None or spec.loader is None:
        raise ImportError("common-expression-language is not installed: run make install.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def is_panic(error: BaseException) -> bool:
    """Say whether an error is a fault within the library. Such errors descend from BaseException, and no module has
    their class."""
    return type(error).__name__ == "PanicException"
