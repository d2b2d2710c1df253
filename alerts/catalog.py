"""Alert rules in a catalog file: the section `alerts`."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from alerts.models import AlertRule
from core import audit
from synapse.alerts.definitions import ALERT_FIELDS
from synapse.auth.principal import Principal
from synapse.catalog.file import CatalogFile, Item
from synapse.catalog.plan import Change, Values, compare

RULE = "alert rule"
KINDS = (RULE,)
SECTIONS = ("alerts",)
_DEFAULTS = {field.name: field.to_file(field.default) for field in ALERT_FIELDS}


def read(file: CatalogFile) -> None:
    """Read the section `alerts`."""
    for item in file.section("alerts"):
        item.refuse_other_keys("name", *_DEFAULTS)
        name = item.name("name")
        values = {field.name: item.setting(field) for field in ALERT_FIELDS}
        if name is not None:
            _check(item, name, values)
            file.add(RULE, name, values, item.place)


def plan(file: CatalogFile, *, delete: bool) -> list[Change]:
    """Return the changes that `apply` would make."""
    return compare(RULE, file.definitions_of(RULE), _current_rows(), delete=delete and file.has_section("alerts"))


def apply(changes: Sequence[Change], *, by: Principal) -> None:
    """Apply changes of the plan in the caller's transaction, with audit entries."""
    for change in changes:
        if change.action == "create":
            AlertRule.objects.create(name=change.name, **(change.after or {}))
        else:
            row = AlertRule.objects.get(name=change.name)
            if change.action == "delete":
                row.delete()
            else:
                for column, value in (change.after or {}).items():
                    setattr(row, column, value)
                row.save()
        audit.record(by, change.action, f"{RULE} {change.name}", before=change.before, after=change.after)


def export(document: dict[str, Any]) -> None:
    """Add the section `alerts` if there are any rows, without values that equal their defaults."""
    if current := _current_rows():
        document["alerts"] = [
            {"name": name, **{key: value for key, value in values.items() if value != _DEFAULTS[key]}}
            for name, values in current.items()
        ]


def _current_rows() -> dict[str, Values]:
    rows = AlertRule.objects.order_by("name").values("name", *_DEFAULTS)
    return {row["name"]: {field.name: field.to_file(row[field.name]) for field in ALERT_FIELDS} for row in rows}


def _check(item: Item, name: str, values: Mapping[str, Any]) -> None:
    row = AlertRule(name=name, **values)
    try:
        row.clean_fields(exclude=["id", "name"])
        row.clean()
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            item.refuse(field, " ".join(messages))
