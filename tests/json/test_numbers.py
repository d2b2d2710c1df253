"""Numbers of JSON: true and false are none, and 1.0 is not written as an integer."""

import pytest

from synapse.formats.exact_json import is_integer, is_number


@pytest.mark.parametrize("value", [0, -1, 2**64, 10**400])
def test_an_integer_is_a_number_and_an_integer(value):
    assert is_number(value)
    assert is_integer(value)


@pytest.mark.parametrize("value", [1.0, 0.5, 1e308])
def test_a_fraction_is_a_number_and_no_integer(value):
    assert is_number(value)
    assert not is_integer(value)


@pytest.mark.parametrize("value", [True, False, None, "1", [1], {}, float("nan")])
def test_a_boolean_a_text_and_nan_are_no_numbers(value):
    assert not is_number(value)
    assert not is_integer(value)


def test_bounds_belong_to_the_range():
    assert [is_integer(value, 1, 3) for value in range(5)] == [False, True, True, True, False]
    assert [is_number(value, 0.1, 1) for value in (0.0, 0.1, 1.0, 1.1)] == [False, True, True, False]
