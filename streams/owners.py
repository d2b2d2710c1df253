"""Whose groups are: who brings or pulls events registers what it knows, because nothing here knows of that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

# A stream and a group of it.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """What a group belongs to: a bridge that brings its events somewhere, or one that is pulled over HTTP."""

    kind: Literal["bridge", "pull"]
    name: str
    enabled: bool
    paused: bool


Owners = Mapping[Place, Owner]

_providers: list[Callable[[], Owners]] = []


def on_owners(provider: Callable[[], Owners]) -> None:
    """Register who knows of owners: called whenever groups are shown, so it answers from memory."""
    _providers.append(provider)


def owners() -> Owners:
    """Return the owners that are known. A group without one is some other program's."""
    found: dict[Place, Owner] = {}
    for provider in _providers:
        found |= provider()
    return found
