"""Tables of values in one test, where a test for each row would take longer to begin than the row takes."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any

import pytest

# What pytest-timeout says of a test that it interrupts.
OF_A_TIMEOUT = "from pytest-timeout"
# The most letters of a row that are shown.
MOST_SHOWN = 1_000


def for_each(names: str, rows: Iterable[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Call a test with each row of a table, as `pytest.mark.parametrize` does, but within one test.

    All rows are tried, and what fails names its row. Fixtures are made once for all of them. A row that takes as long
    as a test may is the last one: pytest-timeout interrupts a test once, and would let the next row hang.
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
                except (Exception, pytest.fail.Exception, BaseExceptionGroup) as failure:
                    failure.add_note(f"with {names} = {', '.join(map(repr, row))}"[:MOST_SHOWN])
                    failures.append(failure)
                    if _is_of_a_timeout(failure):
                        break
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(table)} rows fail", failures)

        takes = signature(test)
        kept = [each for name, each in takes.parameters.items() if name not in columns]
        test_all.__signature__ = takes.replace(parameters=kept)  # type: ignore[attr-defined]
        test_all.is_table = True  # type: ignore[attr-defined]
        return test_all

    return decorate


def _is_of_a_timeout(failure: BaseException) -> bool:
    if isinstance(failure, BaseExceptionGroup):
        return any(map(_is_of_a_timeout, failure.exceptions))
    return OF_A_TIMEOUT in str(failure)
