"""A sink's settings: a frozen dataclass beside the sink, read from JSON, with each mistake told by its field."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from synapse.catalog.file import kind_of, nearest
from synapse.errors.delivery import BadConfig

_WORDS: dict[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "nothing",
    list: "a list",
    dict: "values by their names",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkConfig:
    """What a sink can be told. Its fields are texts, numbers, true or false, lists of these, mappings of names to these
    or to anything, or (`| None`) nothing."""

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

    def streams(self) -> Mapping[str, str]:
        """Return the streams that the sink writes to, by the setting that names each."""
        return {}

    @classmethod
    def _errors(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        hints = get_type_hints(cls)
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                yield name[:100], f"there is no such setting; {nearest(name, known)}"
        for field in fields(cls):
            if field.name not in values:
                if field.default is MISSING and field.default_factory is MISSING:
                    yield field.name, "is missing"
            elif wrong := _mistyped(hints[field.name], values[field.name]):
                yield field.name, wrong


def _mistyped(hint: Any, value: Any) -> str:
    """Return how a value is not of a type, "" when it is."""
    alternatives = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    kinds = {get_origin(one) or one: get_args(one) for one in alternatives}
    if type(value) not in kinds:
        return f"must be {' or '.join(_WORDS[kind] for kind in kinds)}, but is {kind_of(value)}"
    inner = kinds[type(value)][-1] if kinds[type(value)] else Any
    if inner is Any:
        return ""
    parts = value.values() if isinstance(value, dict) else value
    wrong = [part for part in parts if type(part) is not inner]
    return f"must hold nothing but {_WORDS[inner]}, but holds {kind_of(wrong[0])}" if wrong else ""
