"""A table of values in one test is tried whole, and what fails names its row (tests/tables.py)."""

import pytest

from tests.tables import for_each


def test_all_rows_of_a_table_are_tried_with_all_columns_and_fixtures():
    seen = []

    @for_each("a, b", [(1, 2), (3, 4)])
    @for_each("c", ["x", "y"])
    def test(fixture, a, b, c):
        seen.append((fixture, a, b, c))

    test(fixture="f")

    assert seen == [("f", 1, 2, "x"), ("f", 1, 2, "y"), ("f", 3, 4, "x"), ("f", 3, 4, "y")]


def test_a_row_that_fails_is_named_and_hides_no_other():
    seen = []

    @for_each("number", range(4))
    def test(number):
        seen.append(number)
        assert number % 2 == 0

    with pytest.raises(ExceptionGroup, match="2 of 4 rows fail") as failed:
        test()

    assert seen == [0, 1, 2, 3]
    assert [failure.__notes__ for failure in failed.value.exceptions] == [["with number = 1"], ["with number = 3"]]


def test_a_refusal_that_is_missing_in_a_row_fails_with_it():
    @for_each("text", ["1", "x"])
    def test(text):
        with pytest.raises(ValueError, match="invalid literal"):
            int(text)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE") as failed:
        test()

    assert failed.value.__notes__ == ["with text = '1'"]


def test_a_table_without_rows_fails():
    @for_each("text", [])
    def test(text):
        """Do nothing."""

    with pytest.raises(AssertionError, match="without rows"):
        test()


def test_a_row_that_takes_too_long_is_the_last_one_also_of_a_table_around_it():
    tried = []

    @for_each("number", range(2))
    @for_each("text", ["wrong", "hangs", "hangs too"])
    def test(number, text):
        tried.append((number, text))
        pytest.fail("Timeout (>400.0s) from pytest-timeout." if text == "hangs" else "no")

    with pytest.raises(BaseExceptionGroup, match="2 of 3 rows fail"):
        test()

    assert tried == [(0, "wrong"), (0, "hangs")]


def test_failures_of_several_rows_hide_none_of_the_table_around_it():
    @for_each("number", [1, 2])
    @for_each("text", ["a", "b"])
    def test(number, text):
        pytest.fail(f"{number} {text}")

    with pytest.raises(BaseExceptionGroup, match="2 of 2 rows fail") as failed:
        test()

    assert [str(failure) for each in failed.value.exceptions for failure in each.exceptions] == [
        "1 a",
        "1 b",
        "2 a",
        "2 b",
    ]
