"""Columns and forms of definitions, from their declarations in `synapse.catalog`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator

from synapse.catalog.fields import ADVANCED, Choice, Count, Field, Labels, Line, Rows


def column_options(field: Field) -> dict[str, Any]:
    """Return the arguments of a model's column, but for the validators of its type's own functions."""
    options: dict[str, Any] = {"help_text": field.help}
    if field.default is None:
        options |= {"null": True, "blank": True}
    elif isinstance(field, Rows | Labels):
        options |= {"default": list if isinstance(field, Rows) else dict, "blank": True}
    else:
        options["default"] = field.default
    if isinstance(field, Line):
        options |= {"blank": True, "max_length": field.most}
    if isinstance(field, Choice):
        options["choices"] = list(field.choices.items())
    if isinstance(field, Count):
        # That a number is not negative is the column's own rule.
        least = [MinValueValidator(field.least)] if field.least else []
        options["validators"] = least if field.most is None else [*least, MaxValueValidator(field.most)]
    return options


def fieldsets(
    fields: Iterable[Field], first: Mapping[str | None, Sequence[str]]
) -> list[tuple[str | None, dict[str, Any]]]:
    """Return the admin's fieldsets, by their headings (None: no heading). Advanced fields are collapsed, and come last.

    Args:
        fields: the settings; each stands below the heading that it names, in this order.
        first: the columns that are no settings, by heading; headings come in this order, before further ones.
    """
    sections: dict[str | None, list[str]] = {title: list(names) for title, names in first.items()}
    for field in fields:
        sections.setdefault(field.section or None, []).append(field.name)
    if ADVANCED in sections:
        sections[ADVANCED] = sections.pop(ADVANCED)
    return [
        (title, {"fields": names, "classes": ["collapse"] if title == ADVANCED else []})
        for title, names in sections.items()
    ]
