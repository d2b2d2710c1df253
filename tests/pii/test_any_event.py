"""Masking never fails and keeps the form, for any event and any schema."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from synapse.schema.pii import (
    MASK,
    masked,
    pii_texts,
    redacted,
)
from synapse.schema.validator import compile_schema
from tests.chaos.profile import FULL

PII = {"x-pii": True}
SCHEMAS = [
    {"properties": {"a": PII, "b": {"properties": {"a": PII}, "items": PII}}},
    {"properties": {"a": {"$ref": "#"}, "b": {"items": {"$ref": "#"}}, "c": PII}},
    {"patternProperties": {"^[ab]$": PII}, "additionalProperties": {"items": {"properties": {"a": PII}}}},
    {"anyOf": [{"properties": {"a": PII}}, {"properties": {"a": {"prefixItems": [{}, PII]}}}], "items": PII},
    PII,
]
MARKS = [compile_schema(schema).personal for schema in SCHEMAS]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda each: st.lists(each, max_size=4) | st.dictionaries(st.sampled_from("abcd") | st.text(max_size=3), each),
    max_leaves=20,
)


def same_form(one: Any, other: Any) -> bool:
    """Say whether two values differ in nothing but leaves, each of which is as it was or masked."""
    if isinstance(one, dict):
        return isinstance(other, dict) and [*one] == [*other] and all(same_form(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(same_form, one, other))
    return other == MASK or (one is other or one == other)


@given(marks=st.sampled_from(MARKS), event=values)
@settings(max_examples=500 if FULL else 60)
def test_a_masked_event_keeps_its_form_and_is_masked_only_once(marks, event):
    shown = masked(event, marks)

    assert same_form(event, shown)
    assert masked(shown, marks) == shown


@given(marks=st.sampled_from(MARKS), event=values, words=st.lists(st.text(max_size=30), max_size=3))
@settings(max_examples=500 if FULL else 60)
def test_an_error_that_quotes_every_pii_value_quotes_none_afterwards(marks, event, words):
    texts = pii_texts(event, marks)
    error = "; ".join([*words, *(f"“{text}”" for text in sorted(texts))])

    told = redacted(error, texts)

    assert not any(f"“{text}”" in told for text in texts if text.strip() and text != MASK)
