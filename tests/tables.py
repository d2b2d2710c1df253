"""Tables of values in one test, where a test for each row would take longer to begin than the row takes."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any

import pytest


def for_each(names: str, rows: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call a test with each row of a table, as `pytest.mark.parametrize` does, but within one test.

    All rows are tried, and what fails names its row. Fixtures are made once for all of them.
    """
    columns = [name.strip() for name in names.split(",")]
    table = [(row,) if len(columns) == 1 else tuple(row) for row in rows]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def test_all(*self: Any, **fixtures: Any) -> None:
            assert table, "a table without rows tests nothing"
            failures: list[BaseException] = []
            for row in table:
                try:
                    test(*self, **fixtures, **dict(zip(columns, row, strict=True)))
                except (Exception, pytest.fail.Exception) as failure:
                    failure.add_note(f"with {names} = {', '.join(map(repr, row))}")
                    failures.append(failure)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(table)} rows fail", failures)

        takes = signature(test)
        kept = [each for name, each in takes.parameters.items() if name not in columns]
        test_all.__signature__ = takes.replace(parameters=kept)  # type: ignore[attr-defined]
        return test_all

    return decorate
