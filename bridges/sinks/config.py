"""A sink's settings: a frozen dataclass beside the sink, read from JSON, with each mistake told by its field."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self, get_args, get_type_hints

from bridges.errors import BadConfig
from core.catalog_file import kind_of, nearest

_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", type(None): "nothing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkConfig:
    """What a sink can be told. Its fields are texts, numbers, true or false, or (`| None`) nothing."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings.

        Raises:
            BadConfig: with a sentence for each field that is wrong.
        """
        errors = dict(cls._errors(values))
        if not errors:
            config = cls(**values)
            errors = dict(config.mistakes())
        if errors:
            raise BadConfig(errors)
        return config

    def mistakes(self) -> Iterator[tuple[str, str]]:
        """Give what is wrong beyond the types: the field, and a sentence."""
        return iter(())

    @classmethod
    def _errors(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        hints = get_type_hints(cls)
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                yield name[:100], f"there is no such setting; {nearest(name, known)}"
        for field in fields(cls):
            kinds = get_args(hints[field.name]) or (hints[field.name],)
            if field.name not in values:
                if field.default is MISSING and field.default_factory is MISSING:
                    yield field.name, "is missing"
            elif type(values[field.name]) not in kinds:
                wanted = " or ".join(_WORDS[kind] for kind in kinds)
                yield field.name, f"must be {wanted}, but is {kind_of(values[field.name])}"
