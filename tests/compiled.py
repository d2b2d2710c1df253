"""Compiled files of test modules, of which each process of a run makes its share where a checkout has none.

All processes import all modules in the same order and at the same time: each would compile nearly all of them.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from _pytest.assertion import rewrite


def compile_share(config: pytest.Config) -> None:
    """Compile the modules of this process's share that were changed since they were compiled, as pytest does it.

    A module that cannot be compiled or kept is left to the collection, which says why, or does without.
    """
    worker = getattr(config, "workerinput", None)
    state = config.stash.get(rewrite.assertstate_key, None)
    if worker is None or state is None or sys.dont_write_bytecode:
        return
    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for file in sorted(_modules(config))[number::count]:
        compiled = rewrite.get_cache_dir(file) / f"{file.stem}{rewrite.PYC_TAIL}"
        if compiled.exists() and compiled.stat().st_mtime >= file.stat().st_mtime:
            continue
        with suppress(OSError, SyntaxError, ValueError, Warning):
            compiled.parent.mkdir(exist_ok=True, parents=True)
            source_hash, code = rewrite._rewrite_test(file, config)
            rewrite._write_pyc(state, code, source_hash, compiled)


def _modules(config: pytest.Config) -> Iterator[Path]:
    for argument in config.args:
        for folder, below, names in os.walk(os.path.abspath(argument)):
            below[:] = set(below).difference(config.getini("norecursedirs"))
            yield from (Path(folder, name) for name in names if name.startswith("test_") and name.endswith(".py"))
