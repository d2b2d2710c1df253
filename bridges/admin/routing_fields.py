"""Form fields of a bridge that are written in rows: its filters and its retry schedule."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.admin.list_fields import Column, RowsField, scalar_of, text_of
from synapse.catalog import filters

_OPERATORS = {
    "eq": "is",
    "ne": "is not",
    "in": "is one of",
    "lt": "is less than",
    "le": "is at most",
    "gt": "is more than",
    "ge": "is at least",
    "exists": "is there",
    "prefix": "begins with",
}


class FiltersField(RowsField):
    """The filters of a bridge (synapse.catalog.filters): a property, an operator and a value each."""

    columns = (
        Column(name="property", label="Property", placeholder="customer.country"),
        Column(name="op", label="Condition", choices={word: _OPERATORS.get(word, word) for word in filters.OPERATORS}),
        Column(name="value", label="Value", placeholder="DE, or 100"),
    )

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
        return [_filter_of(row) for row in rows]

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        return [_row_of(each) for each in value]


def _filter_of(row: Mapping[str, str]) -> dict[str, Any]:
    text = row["value"].strip()
    found: dict[str, Any] = {"property": row["property"].strip(), "op": row["op"]}
    if not text:
        # That a property is there needs no value; for the others its absence is told.
        return found
    if row["op"] == "in" and not text.startswith("["):
        return found | {"value": [scalar_of(one.strip()) for one in text.split(",") if one.strip()]}
    # A text that is compared by its beginning is one, also if it could be read as a number.
    return found | {"value": text if row["op"] == "prefix" else scalar_of(text)}


def _row_of(filter_: Any) -> dict[str, str]:
    value = filter_.get("value", "")
    is_list = isinstance(value, list) and not any(isinstance(one, list | dict) or "," in str(one) for one in value)
    if is_list:
        text = ", ".join(text_of(one) for one in value)
    else:
        text = value if filter_["op"] == "prefix" else text_of(value) if "value" in filter_ else ""
    return {"property": filter_["property"], "op": filter_["op"], "value": text}


class ScheduleField(RowsField):
    """The waits between attempts, one a row (synapse.delivery.retry)."""

    columns = (Column(name="wait", label="Wait", placeholder="30s, 5m, 2h or 1d"),)

    def value_of(self, rows: Sequence[Mapping[str, str]]) -> list[Any]:
        return [scalar_of(row["wait"].strip()) for row in rows]

    def rows_of(self, value: Any) -> list[dict[str, str]]:
        return [{"wait": str(wait)} for wait in value]
