"""Numbers that no double holds keep their digits; all others are doubles as ever."""

import copy
import pickle
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.formats import exact_json, strict_json
from synapse.formats.exact_json import ExactNumber
from synapse.schema.validator import compile_schema

BEYOND = (
    "0.1234567890123456789",
    "12345678901234567.89",
    "9007199254740993.0",
    "1e-400",
    "-0.30000000000000000001",
    "1.7976931348623157081e308",
    "0.1000000000000000055511151231257827",
    "1" + "0" * 30 + ".5",
)
DOUBLES = (
    "0.1",
    "1.10",
    "1e5",
    "-0.0",
    "0e-400",
    "5e-324",
    "0.30000000000000004",
    "1.7976931348623157e308",
    "100.000000000000000000",
)


@pytest.mark.parametrize("text", BEYOND)
@pytest.mark.parametrize("form", ["%s", "[%s]", '{"a": [1, {"b": %s}]}'])
def test_a_decimal_that_no_double_holds_is_written_as_it_was_read(text, form):
    data = (form % text).encode()

    assert exact_json.dumps(strict_json.loads(data)) == data.replace(b": ", b":").replace(b", ", b",")
    assert exact_json.dumps(exact_json.loads(data.decode())) == data.replace(b": ", b":").replace(b", ", b",")


@pytest.mark.parametrize("text", DOUBLES)
def test_a_decimal_that_a_double_holds_is_one(text):
    assert type(strict_json.loads(f"[{text}]".encode())[0]) is float
    assert strict_json.loads(text.encode()) == float(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=25))
def test_any_decimal_keeps_its_value(value):
    (read,) = strict_json.loads(f"[{value:f}]".encode())

    assert Decimal(exact_json.dumps(read).decode()) == value


@pytest.mark.parametrize("text", ["1e400", "-1e400", "1e99999999999999999999", "0." + "1" * 1001, "1e-1001"])
def test_numbers_out_of_all_bounds_are_refused(text):
    with pytest.raises(strict_json.BadJSON):
        strict_json.loads(text.encode())


def test_a_reader_of_doubles_gets_doubles():
    (read,) = strict_json.loads(b"[0.1234567890123456789]", with_doubles=True)

    assert type(read) is float


def test_an_exact_number_is_compared_and_copied_by_its_digits():
    one, other = ExactNumber("9007199254740993.0"), ExactNumber("9007199254740993.5")

    assert one < other
    assert one == 9007199254740993
    assert one != float(one)
    assert 9007199254740992.0 < one < 9007199254740994
    assert copy.deepcopy([one])[0].text == pickle.loads(pickle.dumps(one)).text == one.text
    assert len({one, ExactNumber("9007199254740993.00"), other}) == 2


@pytest.mark.parametrize(
    ("keyword", "good", "bad"),
    [
        ({"maximum": 1}, "0.9999999999999999999", "1.0000000000000000001"),
        ({"exclusiveMinimum": 0}, "1e-400", "-1e-400"),
        ({"multipleOf": 0.5}, "12345678901234567.5", "12345678901234567.89"),
        ({"type": "integer"}, "9007199254740993.0", "9007199254740993.5"),
        ({"not": {"type": "string"}, "type": "number", "minimum": 0}, "1e-400", "-1e-400"),
        ({"const": 9007199254740993}, "9007199254740993.0", "9007199254740993.00000000001"),
    ],
)
def test_a_contract_checks_the_digits(keyword, good, bad):
    schema = compile_schema({"properties": {"n": keyword}})

    assert schema.accepts({"n": ExactNumber(good)})
    assert not schema.accepts({"n": ExactNumber(bad)})
    (violation,) = schema.violations({"n": ExactNumber(bad)})
    assert violation.pointer == "/n"


def test_many_exact_numbers_are_checked_as_doubles_in_no_time():
    schema = compile_schema({"properties": {"n": {"uniqueItems": True, "items": {"maximum": 1}}}})

    assert schema.accepts({"n": [ExactNumber(f"0.1234567890{n}12345678901234567890") for n in range(1000, 3000)]})
    assert not schema.accepts({"n": [ExactNumber("1.50000000000000000001")] * 2000})
