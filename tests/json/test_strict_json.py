"""JSON that two parsers could read differently is refused; all else is read exactly."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synapse.formats import strict_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab\\"{[', max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
def test_a_good_text_is_read_as_it_was_written_however_it_was_written(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode()

    assert orjson.dumps(strict_json.loads(text)) == orjson.dumps(value)


@given(st.integers())
def test_an_integer_is_read_exactly_or_refused(number):
    text = str(number).encode()

    if -(2**63) <= number < 2**64:
        assert strict_json.loads(text) == number
    else:
        with pytest.raises(strict_json.BadJSON):
            strict_json.loads(text)


@pytest.mark.parametrize("text", [b'{"a":1,"a":2}', b'{ "a":1, "b":{"c":2,"c":3}}', b'[{"x":[{"y":1,"y":1}]}]'])
def test_a_key_that_appears_twice_is_refused_wherever_it_is(text):
    with pytest.raises(strict_json.BadJSON, match="appears twice"):
        strict_json.loads(text)


@given(st.integers(1, 80), st.sampled_from([(b"[", b"]"), (b'{"[{":', b"}")]))
def test_depth_is_counted_outside_strings(depth, brackets):
    text = brackets[0] * depth + b'"[[["' + brackets[1] * depth

    if depth <= strict_json.MAX_DEPTH:
        strict_json.loads(text)
    else:
        with pytest.raises(strict_json.BadJSON, match="levels deep"):
            strict_json.loads(text)


@given(st.integers(0, 80), st.integers(0, 80), st.sampled_from([1, {}, {"a": 1}, [[], {}]]))
def test_a_too_deep_item_of_an_array_is_found_among_others(depth, others, other):
    item = b'{"a":' * depth + b"1" + b"}" * depth
    text = b"[" + b",".join([orjson.dumps(other)] * others + [item]) + b"]"

    if depth < strict_json.MAX_DEPTH:
        strict_json.loads(text)
    else:
        with pytest.raises(strict_json.BadJSON, match="levels deep"):
            strict_json.loads(text)


def test_a_text_that_is_not_json_is_refused_with_its_place():
    with pytest.raises(strict_json.BadJSON, match=r"line 2, column 3"):
        strict_json.loads(b'{"a": 1,\n  b}')
