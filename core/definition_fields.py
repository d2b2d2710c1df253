"""Columns and forms of definitions, from their declarations in `synapse.catalog`."""

from collections.abc import Iterable
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator

from synapse.catalog.fields import Choice, Count, Field


def column_options(field: Field) -> dict[str, Any]:
    """Return the arguments of a model's column, but for the validators of its type's own functions."""
    options: dict[str, Any] = {"help_text": field.help}
    if field.default is None:
        options |= {"null": True, "blank": True}
    else:
        options["default"] = field.default
    if isinstance(field, Choice):
        options["choices"] = list(field.choices.items())
    if isinstance(field, Count):
        options["validators"] = [MinValueValidator(field.least)]
        if field.most is not None:
            options["validators"].append(MaxValueValidator(field.most))
    return options


def fieldsets(fields: Iterable[Field], first: Iterable[str]) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the admin's fieldsets, a section after the other; `first` stand before the fields without a section."""
    sections: dict[str | None, list[str]] = {None: list(first)}
    for field in fields:
        sections.setdefault(field.section or None, []).append(field.name)
    return [(title, {"fields": names}) for title, names in sections.items()]
