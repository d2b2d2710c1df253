"""Masked events, and the original values restored to their masked places."""

from typing import Any

import pytest

from synapse.schema.pii import (
    MASK,
    Marks,
    holds_mask,
    masked,
    pii_texts,
)
from synapse.schema.validator import compile_schema

ORDER = {
    "properties": {
        "customer": {"type": "object", "properties": {"name": {"x-pii": True}, "tier": {"type": "string"}}},
        "phones": {"type": "array", "items": {"x-pii": True}},
        "minor": {"type": "boolean", "x-pii": True},
    }
}


@pytest.fixture
def marks() -> Marks:
    found = compile_schema(ORDER).personal
    assert found is not None
    return found


def test_the_form_of_the_event_stays(marks: Marks) -> None:
    event = {"id": 7, "customer": {"name": "Anna", "tier": "gold"}, "phones": ["1", 2, None], "minor": False}

    shown = masked(event, marks)

    assert shown == {
        "id": 7,
        "customer": {"name": MASK, "tier": "gold"},
        "phones": [MASK, MASK, None],
        "minor": MASK,
    }
    assert event["customer"] == {"name": "Anna", "tier": "gold"}


@pytest.mark.parametrize(
    ("odd", "expected"),
    [
        ({"customer": "Anna, gold"}, {"customer": MASK}),
        ({"customer": 4930}, {"customer": MASK}),
        ({"customer": None}, {"customer": None}),
        ({"customer": True}, {"customer": True}),
        ({"customer": []}, {"customer": []}),
        ({"customer": ["Anna"]}, {"customer": [MASK]}),
        ({"phones": {"home": "1"}}, {"phones": {"home": MASK}}),
        ({}, {}),
        ("Anna", MASK),
    ],
)
def test_unexpected_values_are_masked_where_they_may_be_pii(marks: Marks, odd: Any, expected: Any) -> None:
    assert masked(odd, marks) == expected


def test_an_event_nested_deeper_than_python_counts_is_masked_as_a_whole(marks: Marks) -> None:
    deep: Any = "Anna"
    for _ in range(5000):
        deep = [deep]

    assert masked({"phones": deep, "id": 7}, marks) == {"phones": MASK, "id": MASK}


def test_the_pii_values_are_given_as_texts(marks: Marks) -> None:
    event = {"id": 7, "customer": {"name": "Anna", "tier": "gold"}, "phones": [1.5], "minor": True}

    assert pii_texts(event, marks) == {"Anna", "1.5", "True", "true"}


@pytest.mark.parametrize("event", [MASK, {"a": MASK}, {"a": [1, [{"b": [MASK]}]]}, [{}, [], {"": MASK}]])
def test_a_mask_in_place_of_a_value_is_found_at_any_depth(event: Any) -> None:
    assert holds_mask(event)


@pytest.mark.parametrize("event", [None, 1, {}, [], {MASK: 1}, {"a": f"to {MASK}"}, {"a": MASK[:2]}, {"a": MASK * 2}])
def test_a_value_that_only_resembles_a_mask_is_no_mask(event: Any) -> None:
    assert not holds_mask(event)


def test_a_mask_is_found_in_an_event_nested_deeper_than_a_function_may_call_itself() -> None:
    event: Any = MASK
    for _ in range(5_000):
        event = [{"a": event}]

    assert holds_mask(event)
